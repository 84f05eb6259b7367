import { lookup } from 'node:dns';
import { type Question, READY, type Reply } from './messages.js';

/** The resolver process: answers its parent by getaddrinfo(3) until it is killed or the parent is gone. */

// Signals to a process group or control group are meant for the parent, which ends this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
// A normal exit would wait for pending look-ups.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('message', ({ id, host }: Question) => {
  lookup(host, { all: true, verbatim: true }, (error, answers) => {
    if (error) reply({ id, code: error.code ?? error.message });
    else reply({ id, addresses: answers.map(({ address }) => address) });
  });
});
reply({ id: READY });

function reply(message: Reply): void {
  // If the parent is gone, `disconnect` is emitted.
  process.send?.(message, undefined, undefined, () => undefined);
}

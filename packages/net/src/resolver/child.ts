import { lookup } from 'node:dns';
import { type Question, READY, type Reply } from './messages.js';

/** The resolver process: it answers the questions of its parent by getaddrinfo(3), until that ends it or is gone. */

// A signal to the whole process group or control group is meant for the program, which ends this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
// An orderly exit would wait for the look-ups that are under way.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('message', ({ id, host }: Question) => {
  lookup(host, { all: true, verbatim: true }, (error, answers) => {
    if (error) reply({ id, code: error.code ?? error.message });
    else reply({ id, addresses: answers.map(({ address }) => address) });
  });
});
reply({ id: READY });

function reply(message: Reply): void {
  // A parent that is gone is told of by `disconnect`.
  process.send?.(message, undefined, undefined, () => undefined);
}

import t from 'tap';
import { type Name, start } from '../support/command.js';

const CASES: [name: Name, args: string[], text: string][] = [
  [
    'server',
    ['--path', 'x', '--listen-addr', '127.0.0.1:0', '--once'],
    '--once: nothing that is received has an end; use frame=mold',
  ],
  [
    'server',
    ['--path', 'x', '--listen-addr', 'nats://h/a,stream='],
    '--listen-addr: nats://h/a,stream=: stream: needs a value',
  ],
  [
    'server',
    ['--path', 'x', '--listen-addr', 'nats:127.0.0.1/ais'],
    '--listen-addr: nats:127.0.0.1/ais: no // after nats:; write nats://...',
  ],
  [
    'server',
    ['--path', 'x', '--listen-addr', 'h:1', '--status-addr', '29936'],
    '--status-addr: 29936: a port without a host; write HOST:PORT or [IPv6]:PORT',
  ],
  [
    'server',
    ['--path', 'x', '--listen-addr', 'h:1', '--status-peer', 'http://h:1'],
    '--status-peer: there is no status to show; use --status-addr',
  ],
  [
    'client',
    ['--path', 'x', '--server-addr', 'h:1', '--server-addr', 'h:2,frame=mold'],
    '--server-addr: h:1 and h:2,frame=mold: the input is cut once, not by lines and mold; use one frame for all',
  ],
];

t.test('what is wrong on a command line is said of the flag, and of the address', async (t) => {
  for (const [name, args, text] of CASES) {
    const command = start(t, name, args);
    t.equal(await command.exited, 2, text);
    t.equal(command.stderr, `mproxy-${name}: ${text}\n`);
  }
});

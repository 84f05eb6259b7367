import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { missing } from '../lan/tools.js';
import { type Name, type Running, start, startProgram } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { shortFolder } from '../support/short-folder.js';
import { until } from '../support/wait.js';

const skip = process.platform !== 'linux' ? 'systemd is Linux' : missing('socat');

/** A path short enough for a socket's address (unix(7)). */
function socketPath(t: Test): string {
  const folder = shortFolder(t);
  return join(folder, 'notify');
}

/** A socket as systemd has it, that prints what it is told. */
async function manager(t: Test, place: string): Promise<Running> {
  const listener = startProgram(t, 'socat', ['-u', '-dd', place, '-']);
  await listener.says('starting data transfer');
  return listener;
}

function told(listener: Running): string[] {
  return String(listener.stdout).split('\n').slice(0, -1);
}

function startFor(t: Test, name: Name, args: string[], env: NodeJS.ProcessEnv): Running {
  return start(t, name, args, { env: { ...process.env, ...env } });
}

const SERVER = ['--listen-addr', '127.0.0.1:0', '--path', '/dev/null'];

t.test('a program tells systemd that it is ready, and that it stops', { skip }, async (t) => {
  const { address } = await loopbackGroup();
  const programs: [Name, string[]][] = [
    ['server', SERVER],
    ['forward', ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', '127.0.0.1:9']],
    ['reverse', ['--multicast-addr', address, '--tcp-output-addr', '127.0.0.1:0']],
  ];
  for (const [name, args] of programs) {
    const path = socketPath(t);
    const listener = await manager(t, `UNIX-RECV:${path}`);
    const program = startFor(t, name, args, { NOTIFY_SOCKET: path });
    await until('it is ready', () => told(listener).length > 0);
    t.match(program.stderr, 'listening: ', 'not before it listens');
    t.strictSame(told(listener), ['READY=1'], name);
    t.equal(await program.stop(), 0, program.stderr);
    await until('it stops', () => told(listener).length > 1);
    t.strictSame(told(listener), ['READY=1', 'STOPPING=1'], name);
  }
});

t.test('the socket may be an abstract name', { skip }, async (t) => {
  const name = `mproxy-test-${process.pid}`;
  const listener = await manager(t, `ABSTRACT-RECV:${name}`);
  startFor(t, 'server', SERVER, { NOTIFY_SOCKET: `@${name}` });
  await until('it is ready', () => told(listener).includes('READY=1'));
});

t.test('it feeds a watchdog that is its own', { skip }, async (t) => {
  const [path, otherPath] = [socketPath(t), socketPath(t)];
  const listener = await manager(t, `UNIX-RECV:${path}`);
  const otherListener = await manager(t, `UNIX-RECV:${otherPath}`);
  const env = { WATCHDOG_USEC: '100000' };
  const other = startFor(t, 'server', SERVER, { ...env, NOTIFY_SOCKET: otherPath, WATCHDOG_PID: '1' });
  await until('it is ready', () => told(otherListener).length > 0);
  const own = startFor(t, 'server', SERVER, { ...env, NOTIFY_SOCKET: path });
  const pings = () => told(listener).filter((state) => state === 'WATCHDOG=1').length;
  await until('pings', () => pings() >= 5);
  t.equal(await own.stop(), 0);
  t.equal(await other.stop(), 0);
  await until('the last word', () => told(otherListener).includes('STOPPING=1'));
  t.strictSame(told(otherListener), ['READY=1', 'STOPPING=1'], 'none where the watchdog is not its own');
});

t.test('it says so once when nobody listens, and goes on', { skip }, async (t) => {
  const path = socketPath(t);
  const server = startFor(t, 'server', SERVER, { NOTIFY_SOCKET: path, WATCHDOG_USEC: '10000' });
  await server.says(`NOTIFY_SOCKET: ${path}: `);
  await server.says('listening: ');
  await wait(100);
  t.equal(await server.stop(), 0);
  t.equal(server.stderr.split('NOTIFY_SOCKET: ').length, 2, server.stderr);
});

t.test('a start that fails is never ready', { skip }, async (t) => {
  const path = socketPath(t);
  const listener = await manager(t, `UNIX-RECV:${path}`);
  const args = ['--listen-addr', '192.0.2.1:9920', '--path', '/dev/null'];
  const server = startFor(t, 'server', args, { NOTIFY_SOCKET: path });
  t.equal(await server.exited, 1);
  // What it sent before it ended is in the socket by now, before this.
  const last = startProgram(t, 'socat', ['-u', 'SYSTEM:echo last', `UNIX-SENDTO:${path}`]);
  t.equal(await last.exited, 0, last.stderr);
  await until('the last word', () => told(listener).length > 0);
  t.strictSame(told(listener), ['last']);
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { passedDescriptor } from 'mproxy-gateway/passed-descriptors';
import t, { type Test } from 'tap';
import { command, Running, start } from '../support/command.js';
import { shortFolder } from '../support/short-folder.js';
import { Client, gateway, IS_NODE, origin } from './running.js';

t.test('the file of a Unix socket', async (t) => {
  const url = await origin(t);
  const path = join(shortFolder(t), 'web.sock');
  const args = ['--listen-addr', `unix:${path}`, '--route', `/=${url}`, '--workers', '2'];
  const first = start(t, 'gateway', args);
  await first.says(`listening: http unix:${path}\n`);
  t.equal((await new Client(t, path).get('/one')).body, '/one');
  first.child.kill('SIGKILL');
  await first.exited;
  t.ok(existsSync(path), 'a killed program leaves it');

  const second = start(t, 'gateway', args);
  await second.says(`listening: http unix:${path}\n`);
  t.equal((await new Client(t, path).get('/two')).body, '/two');
  const third = start(t, 'gateway', args);
  t.equal(await third.exited, 1);
  t.match(third.stderr, `listening: unix:${path}: port already in use`);
  t.equal((await new Client(t, path).get('/still')).body, '/still', 'the second one does not notice');
  t.equal(await second.stop(), 0);
  t.notOk(existsSync(path));
});

t.test('what is no socket is not removed', async (t) => {
  const path = join(shortFolder(t), 'file');
  writeFileSync(path, 'mine');
  const running = start(t, 'gateway', ['--listen-addr', `unix:${path}`, '--route', '/=http://127.0.0.1:9']);
  t.equal(await running.exited, 1);
  t.match(running.stderr, `listening: unix:${path}: `);
  t.ok(existsSync(path));
});

t.test('a port in use is named, and nothing is started', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const at = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const running = start(t, 'gateway', ['--listen-addr', at, '--route', '/=http://127.0.0.1:9']);
  t.equal(await running.exited, 1);
  t.match(running.stderr, `mproxy-gateway: listening: ${at}: port already in use`);
  t.notMatch(running.stderr, 'listening: http');
});

t.test('a name listens on all of its addresses, with one port', async (t) => {
  const running = await gateway(t, { listenAddr: 'localhost:0', route: `/=${await origin(t)}`, workers: 2 });
  const { listening } = await running.handle.ready;
  t.ok(listening.length >= 1);
  t.equal(new Set(listening.map(({ port }) => port)).size, 1);
  t.equal((await new Client(t, running.port).get('/x')).status, 200);
});

/** Starts a gateway as a service manager does: with a listening socket as descriptor 3. */
async function activated(
  t: Test,
  listenAddr: string,
  names: string,
): Promise<{ running: Running; port: number }> {
  const server = createHttp().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  const args = command('gateway', ['--listen-addr', listenAddr, '--route', `/=${await origin(t)}`]);
  // The test runner has every child load it first; a command runs as it does for a user.
  const child = spawn('sh', ['-c', 'unset NODE_OPTIONS; LISTEN_PID=$$ exec "$@"', 'sh', ...args], {
    stdio: ['ignore', 'pipe', 'pipe', fd],
    env: { ...process.env, LISTEN_FDS: '1', LISTEN_FDNAMES: names },
  });
  const running = new Running(child);
  t.teardown(() => running.kill());
  const { port } = server.address() as { port: number };
  // The child has it, too.
  server.close();
  return { running, port };
}

for (const at of ['fd:3', 'fd:web'])
  t.test(
    `a socket of the service manager: ${at}`,
    { skip: process.platform === 'win32' && 'no such thing' },
    async (t) => {
      const { running, port } = await activated(t, at, 'web');
      await running.says('listening: http ');
      t.equal((await new Client(t, port).get('/x')).body, '/x');
      t.equal(await running.stop(), 0);
    },
  );

t.test('a socket that the service manager has not passed', async (t) => {
  const { running } = await activated(t, 'fd:other', 'web');
  t.equal(await running.exited, 1);
  t.match(running.stderr, 'listening: fd:other: the service manager passed web');
});

t.test('two sockets of one name are told apart by their numbers alone', (t) => {
  const passed = { LISTEN_PID: `${process.pid}`, LISTEN_FDS: '3', LISTEN_FDNAMES: 'web:other:web' };
  t.equal(passedDescriptor('other', passed), 4);
  t.equal(passedDescriptor(5, passed), 5);
  t.throws(() => passedDescriptor('web', passed), {
    code: 'MPROXY_LISTEN',
    message:
      /^listening: fd:web: the service manager passed 2 sockets of this name; give each a unit of its own/,
  });
  t.end();
});

t.test(
  'with the node engine there is one worker, and a notice says why',
  { skip: !IS_NODE && 'only the node engine has one worker' },
  async (t) => {
    const running = await gateway(t, { route: `/=${await origin(t)}`, workers: 4 });
    t.match((await running.notice('workers_reduced')).text, /^workers: 1, not 4: /);
    t.equal(running.workers.length, 1);
  },
);

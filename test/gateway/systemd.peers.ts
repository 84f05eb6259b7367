import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { missing } from '../lan/tools.js';
import { command, type Running, startProgram } from '../support/command.js';
import { freeTcpPort } from '../support/net.js';
import { shortFolder } from '../support/short-folder.js';
import { until } from '../support/wait.js';
import { curl, noCurl } from './curl.js';
import { origin } from './running.js';

const skip = missing('systemd-socket-activate') || noCurl;

/** Has systemd listen, and start the command at the first connection. @param sockets addresses of sockets, with their names */
async function activate(t: Test, sockets: { at: string; name?: string }[], args: string[]): Promise<Running> {
  const names = sockets.flatMap(({ name }) => (name === undefined ? [] : [name]));
  const running = startProgram(t, 'systemd-socket-activate', [
    ...sockets.flatMap(({ at }) => ['-l', at]),
    ...(names.length > 0 ? [`--fdname=${names.join(':')}`] : []),
    ...command('gateway', [...args, '--route', `/=${await origin(t)}`]),
  ]);
  await until('systemd listens', () => running.stderr.split('Listening on ').length > sockets.length);
  return running;
}

t.test('the first request starts it, and is answered', { skip }, async (t) => {
  const port = await freeTcpPort();
  const running = await activate(t, [{ at: `127.0.0.1:${port}` }], ['--listen-addr', 'fd:3']);
  t.notMatch(running.stderr, 'mproxy-gateway');
  const { stdout, transfers } = await curl(t, [`http://127.0.0.1:${port}/[1-9]`]);
  t.equal(`${stdout}`, '/1/2/3/4/5/6/7/8/9');
  t.ok(transfers.every(({ status }) => status === 200));
  await running.says(/listening: http .*\n/);
  t.equal(await running.stop(), 0, running.stderr);
});

t.test('sockets by their names, TCP and Unix', { skip }, async (t) => {
  const port = await freeTcpPort();
  const path = join(shortFolder(t), 'web.sock');
  const sockets = [
    { at: `127.0.0.1:${port}`, name: 'web' },
    { at: path, name: 'local' },
  ];
  const args = ['--listen-addr', 'fd:local', '--listen-addr', 'fd:web', '--workers', '2'];
  const running = await activate(t, sockets, args);
  t.equal(`${(await curl(t, [`http://127.0.0.1:${port}/tcp`])).stdout}`, '/tcp');
  t.equal(`${(await curl(t, ['--unix-socket', path, 'http://host/unix'])).stdout}`, '/unix');
  t.equal(await running.stop(), 0, running.stderr);
  t.ok(existsSync(path), 'its file is that of the service manager');
});

t.test('a name that systemd has not passed', { skip }, async (t) => {
  const port = await freeTcpPort();
  const running = await activate(
    t,
    [{ at: `127.0.0.1:${port}`, name: 'web' }],
    ['--listen-addr', 'fd:other'],
  );
  await curl(t, [`http://127.0.0.1:${port}/`]);
  t.equal(await running.exited, 1);
  t.match(running.stderr, 'mproxy-gateway: listening: fd:other: the service manager passed web');
});

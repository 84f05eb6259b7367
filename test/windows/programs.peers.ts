import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { launcher, type Name, startProgram } from '../support/command.js';
import { freeTcpPort, freeUdpPort, tcpClient, tcpServer, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

const { WINDOWS_NODE = '' } = process.env;
const skip = WINDOWS_NODE === '' && 'WINDOWS_NODE names no node.exe (docs/platforms.md)';

/** A path as Wine gives it to a program: Z: is the whole file system. */
const z = (path: string) => `Z:${path.replaceAll('/', '\\')}`;

/** Wine's programs do not write into pipes of the system around it: what they say goes through a file. */
const THROUGH_FILE = `
: >"$said"
tail -n +1 -s 0.05 --pid $$ -f "$said" >&2 &
exec wine "$@" >"$said" 2>&1 </dev/null`;

let started = 0;

/** Starts one of the commands with Windows' Node, under Wine. */
function start(t: Test, name: Name, args: string[]) {
  const said = join(t.testdirName, `said-${started++}`);
  const env = { ...process.env, NODE_SKIP_PLATFORM_CHECK: '1', WINEDEBUG: '-all', said };
  return startProgram(t, 'sh', ['-c', THROUGH_FILE, 'sh', WINDOWS_NODE, z(launcher(name)), ...args], { env });
}

t.test('client and server: a file by way of UDP, followed', { skip }, async (t) => {
  const dir = t.testdir({ in: 'one\n' });
  const files = ['--path', z(join(dir, 'out')), '--stats', '1'];
  const server = start(t, 'server', [...files, '--listen-addr', '127.0.0.1:0', '--listen-addr', '[::1]:0']);
  const port = await server.port();
  t.match(server.stderr, 'engine: node');
  const follow = ['--path', z(join(dir, 'in')), '--follow', '--server-addr', `127.0.0.1:${port}`];
  const client = start(t, 'client', follow);
  const out = () => readFileSync(join(dir, 'out.127.0.0.1_0'), 'utf8');
  await until('the first line is there', () => out() === 'one\n');
  writeFileSync(join(dir, 'in'), 'two\n', { flag: 'a' });
  await until('the second is there', () => out() === 'one\ntwo\n');
  t.ok(client.running);
  t.ok(readdirSync(dir).includes('out.[__1]_0'), 'no colon in a file name');
});

t.test('server: rotated, compressed', { skip }, async (t) => {
  const dir = t.testdir();
  const rotate = ['--rotate-size', '64KiB', '--keep', '2', '--gzip'];
  const server = start(t, 'server', [
    '--path',
    z(join(dir, 'out')),
    '--listen-addr',
    '127.0.0.1:0',
    ...rotate,
  ]);
  const port = await server.port();
  const line = `${'x'.repeat(999)}\n`;
  for (let i = 0; i < 7; i++) await udpSend(port, Array(50).fill(line));
  const packed = () => readdirSync(dir).filter((name) => name.endsWith('.gz'));
  await until(
    'two are kept',
    () => packed().length === 2 && readdirSync(dir).filter((name) => name.startsWith('out')).length === 3,
  );
  for (const name of packed()) t.equal(gunzipSync(readFileSync(join(dir, name))).length, 65_000);
});

t.test('forward: TCP and UDP to UDP', { skip }, async (t) => {
  t.testdir();
  const sink = await udpSink(t);
  const upstream = await tcpServer(t, (socket) => socket.write('by tcp\n'));
  const from = ['--tcp-connect-addr', `localhost:${upstream.port}`, '--udp-listen-addr', '127.0.0.1:0'];
  const forward = start(t, 'forward', [...from, '--udp-downstream-addr', `127.0.0.1:${sink.port}`]);
  await sink.has(7);
  await udpSend(await forward.port(), ['by udp\n']);
  t.equal(String(await sink.has(14)), 'by tcp\nby udp\n');
});

t.test('reverse: TCP to a group on the loopback interface, and to TCP', { skip }, async (t) => {
  t.testdir();
  const [input, output, port] = [await freeTcpPort(), await freeTcpPort(), await freeUdpPort()];
  const tcp = ['--tcp-listen-addr', `127.0.0.1:${input}`, '--tcp-output-addr', `127.0.0.1:${output}`];
  const reverse = start(t, 'reverse', [...tcp, '--multicast-addr', `239.255.7.7:${port},interface=lo`]);
  await reverse.says(`tcp 127.0.0.1:${input}`);
  const client = await tcpClient(t, output);
  await reverse.says('connected to');
  (await tcpClient(t, input)).socket.write('to all\n');
  t.equal(String(await client.has(7)), 'to all\n');
});

t.test('errors name what to do', { skip }, async (t) => {
  const dir = t.testdir({ in: 'x\n' });
  const taken = start(t, 'server', ['--path', z(join(dir, 'out')), '--listen-addr', '127.0.0.1:0']);
  const listen = `127.0.0.1:${await taken.port()}`;
  for (const [name, args, error] of [
    ['client', ['--path', z(join(dir, 'none')), '--server-addr', '127.0.0.1:9'], 'no such file or directory'],
    [
      'client',
      ['--path', z(join(dir, 'in')), '--server-addr', 'nosuch.invalid:9'],
      'the name does not resolve',
    ],
    [
      'server',
      ['--path', z(join(dir, 'o')), '--listen-addr', listen],
      'port already in use; see who has it: netstat',
    ],
    [
      'client',
      ['--path', z(join(dir, 'in')), '--tee', '--engine', 'linux'],
      'this is win32 on x64; use --engine node',
    ],
  ] as const) {
    const running = start(t, name, [...args]);
    t.equal(await running.exited, 1);
    t.match(running.stderr, error);
  }
});

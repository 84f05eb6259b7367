import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Authority, pairFlags } from '../support/certificates.js';
import { type Running, start, startProgram } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { freeTcpPort, freeUdpPort, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

type Test = Parameters<typeof start>[0];

const missing = (program: string, flag: string) =>
  spawnSync(program, [flag], { stdio: 'ignore' }).error ? `${program} is not installed` : false;
const skip = missing('socat', '-V');

/** Starts socat; with two -d it says when it listens and when it moves data. */
function socat(t: Test, ...args: string[]): Running {
  return startProgram(t, 'socat', ['-d', '-d', ...args]);
}

/** What socat says when its addresses are open. */
const OPEN = 'starting data transfer loop';

t.test('socat sends UDP to the server', { skip }, async (t) => {
  const file = join(t.testdir(), 'log');
  const server = start(t, 'server', ['--path', file, '--listen-addr', '127.0.0.1:0']);
  const sender = socat(t, '-u', 'STDIN', `UDP-SENDTO:127.0.0.1:${await server.port()}`);
  sender.child.stdin!.end('from socat\n');
  await until('it is in the file', () => readFileSync(file, 'utf8') === 'from socat\n');
});

t.test('socat receives UDP from the client', { skip }, async (t) => {
  const port = await freeUdpPort();
  const receiver = socat(t, '-u', `UDP-RECV:${port},bind=127.0.0.1`, 'STDOUT');
  await receiver.says(OPEN);
  const client = start(t, 'client', ['--path', '-', '--server-addr', `127.0.0.1:${port}`]);
  client.child.stdin!.end('to socat\nin two lines');
  t.equal(await client.exited, 0);
  await until('it has all', () => String(receiver.stdout) === 'to socat\nin two lines');
});

t.test('socat sends to a group, and receives from one', { skip }, async (t) => {
  const group = await loopbackGroup();
  const next = await freeUdpPort();
  const member = socat(
    t,
    '-u',
    `UDP4-RECV:${next},bind=${group.ip},ip-add-membership=${group.ip}:127.0.0.1`,
    'STDOUT',
  );
  await member.says(OPEN);
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', group.address, '--udp-downstream-addr', `${group.ip}:${next},interface=lo`],
  ]);
  await forward.port();
  const target = `UDP4-DATAGRAM:${group.ip}:${group.port},ip-multicast-if=127.0.0.1`;
  const sender = socat(t, '-u', 'STDIN', target);
  sender.child.stdin!.end('through two groups\n');
  await until('it came through', () => String(member.stdout) === 'through two groups\n');
});

t.test('socat is a TCP server that forward connects to', { skip }, async (t) => {
  const sink = await udpSink(t);
  const server = socat(t, 'TCP-LISTEN:0,bind=127.0.0.1', 'STDIO');
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${await portOf(server)}`, '--greeting', 'hello\\n', '--once'],
    ...['--udp-downstream-addr', `127.0.0.1:${sink.port}`],
  ]);
  await until('the greeting', () => String(server.stdout) === 'hello\n');
  server.child.stdin!.end('one\ntwo\n');
  t.equal(String(await sink.has(8)), 'one\ntwo\n');
  t.equal(await forward.exited, 0);
});

t.test('socat is a TCP sender and a TCP client of reverse', { skip }, async (t) => {
  const group = await loopbackGroup();
  const reverse = start(t, 'reverse', [
    ...['--tcp-listen-addr', '127.0.0.1:0', '--tcp-output-addr', '127.0.0.1:0'],
    ...['--multicast-addr', group.address],
  ]);
  const client = socat(t, '-u', `TCP:127.0.0.1:${await reverse.port(0)}`, 'STDOUT');
  await reverse.says('client: ');
  // Its input is at an end: it closes its sending half, and reads on for a minute.
  const half = socat(t, '-t60', 'STDIO', `TCP:127.0.0.1:${await reverse.port(0)}`);
  half.child.stdin!.end();
  await half.says('is at EOF');
  await reverse.says(/client: .*client: /s);
  const sender = socat(t, '-u', 'STDIN', `TCP:127.0.0.1:${await reverse.port(2)}`);
  sender.child.stdin!.end('one\ntwo\nunfinished');
  for (const reader of [client, half]) {
    await until('it came through', () => String(reader.stdout) === 'one\ntwo\nunfinished\n');
  }
});

t.test('nc without input receives from reverse', { skip: missing('nc', '-h') }, async (t) => {
  const group = await loopbackGroup();
  const reverse = start(t, 'reverse', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--tcp-output-addr', '127.0.0.1:0'],
    ...['--multicast-addr', group.address],
  ]);
  const nc = startProgram(t, 'nc', ['127.0.0.1', String(await reverse.port(0))]);
  nc.child.stdin!.end();
  await reverse.says('client: ');
  const port = await reverse.port(2);
  for (const text of ['first\n', 'second\n']) {
    const client = start(t, 'client', ['--path', '-', '--server-addr', `127.0.0.1:${port}`]);
    client.child.stdin!.end(text);
    await until(text, () => String(nc.stdout).endsWith(text));
  }
  t.equal(String(nc.stdout), 'first\nsecond\n');
});

t.test('socat is a TLS server that forward connects to', { skip }, async (t) => {
  const authority = await Authority.make(t);
  const { certFile, keyFile } = await authority.sign({ ips: ['127.0.0.1'] });
  const port = await freeTcpPort();
  const listen = `OPENSSL-LISTEN:${port},bind=127.0.0.1,cert=${certFile},key=${keyFile},verify=0`;
  const server = socat(t, listen, 'STDIO');
  await server.says('listening on');
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `tls://127.0.0.1:${port}`, '--tls-ca', authority.file, '--tee', '--once'],
  ]);
  await server.says(OPEN);
  server.child.stdin!.end('over TLS\n');
  t.equal(await forward.exited, 0, forward.stderr);
  t.equal(String(forward.stdout), 'over TLS\n');
});

t.test('socat is a TLS sender and a TLS client of reverse', { skip }, async (t) => {
  const authority = await Authority.make(t);
  const pair = await authority.sign({ dns: ['localhost'] });
  const mine = await authority.sign({ dns: ['socat.test'] });
  const pem = authority.write('socat.pem', `${mine.cert}\n${mine.key}`);
  const group = await loopbackGroup();
  const reverse = start(t, 'reverse', [
    ...['--tcp-listen-addr', 'tls://127.0.0.1:0', '--tcp-output-addr', 'tls://127.0.0.1:0'],
    ...['--multicast-addr', group.address, ...pairFlags(pair), '--tls-client-ca', authority.file],
  ]);
  const secure = (port: number) =>
    `OPENSSL:127.0.0.1:${port},cafile=${authority.file},commonname=localhost,cert=${pem}`;
  const client = socat(t, '-u', secure(await reverse.port(0)), 'STDOUT');
  await reverse.says('client: ');
  const sender = socat(t, '-u', 'STDIN', secure(await reverse.port(2)));
  sender.child.stdin!.end('over TLS\ntwice\n');
  await until('it came through', () => String(client.stdout) === 'over TLS\ntwice\n');
});

t.test('socat stands between the client and the server', { skip }, async (t) => {
  const directory = t.testdir();
  const [input, output] = [join(directory, 'in'), join(directory, 'out')];
  const lines = Array.from({ length: 2000 }, (_, i) => `line ${i}\n`).join('');
  writeFileSync(input, lines);
  const server = start(t, 'server', ['--path', output, '--listen-addr', '127.0.0.1:0']);
  const port = await freeUdpPort();
  const relay = socat(
    t,
    '-u',
    `UDP-RECV:${port},bind=127.0.0.1`,
    `UDP-SENDTO:127.0.0.1:${await server.port()}`,
  );
  await relay.says(OPEN);
  const client = start(t, 'client', ['--path', input, '--server-addr', `127.0.0.1:${port}`]);
  t.equal(await client.exited, 0);
  await until('all of it', () => readFileSync(output).length === lines.length);
  t.equal(readFileSync(output, 'utf8'), lines);
});

/** The port that a listening socat was given. */
async function portOf(listening: Running): Promise<number> {
  await listening.says(/listening on .*:\d+/);
  return Number(/listening on .*:(\d+)/.exec(listening.stderr)![1]);
}

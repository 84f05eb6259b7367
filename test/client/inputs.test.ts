import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { launcher, start, startProgram } from '../support/command.js';
import { freeUdpPort, udpSink } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';

function fifo(t: Parameters<typeof start>[0]): string {
  const path = join(t.testdir(), 'fifo');
  execFileSync('mkfifo', [path]);
  return path;
}

t.test('several destinations, by IPv4 and IPv6, get the same bytes of a file', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const bytes = random.bytes(150_000);
  const file = join(t.testdir(), 'in');
  writeFileSync(file, bytes);
  const sinks = [await udpSink(t), await udpSink(t), await udpSink(t, '::1')];
  const hosts = ['127.0.0.1', '127.0.0.1', '[::1]'];
  const to = hosts.flatMap((host, i) => ['--server-addr', `${host}:${sinks[i]!.port}`]);
  const client = start(t, 'client', ['--path', file, '--tee', '--rate', '80Mbps', ...to]);
  t.equal(await client.exited, 0);
  for (const sink of sinks) t.ok((await sink.has(bytes.length)).equals(bytes));
  t.ok(client.stdout.equals(bytes), 'the tee is the input, byte for byte');
  t.same(sinks[1]!.datagrams, sinks[0]!.datagrams, 'cut alike');
  t.same(sinks[2]!.datagrams, sinks[0]!.datagrams, 'cut alike');
});

t.test('a destination by name is told with its address', async (t) => {
  const port = await freeUdpPort();
  const sinks = [await udpSink(t, '127.0.0.1', port), await udpSink(t, '::1', port)];
  const client = start(t, 'client', ['--path', '-', '--server-addr', `localhost:${port}`]);
  client.child.stdin!.end('x\n');
  t.equal(await client.exited, 0);
  await until('one has it', () => sinks.some(({ datagrams }) => datagrams.length > 0));
  t.match(client.stderr, /sending: udp (127\.0\.0\.1|\[::1\]):\d+ for localhost:\d+/);
});

t.test('a FIFO is read until its writer closes it', async (t) => {
  const path = fifo(t);
  const client = start(t, 'client', ['--path', path, '--tee']);
  const shell = startProgram(t, 'sh', ['-c', 'exec >"$0"; echo one; read -r _; printf two', path]);
  await until('the first line is there', () => String(client.stdout) === 'one\n');
  t.ok(client.running, 'it waits as long as the writer does');
  shell.child.stdin!.end('\n');
  t.equal(await client.exited, 0);
  t.equal(String(client.stdout), 'one\ntwo');
});

t.test('a signal ends the wait for a FIFO that nobody writes to', async (t) => {
  const sink = await udpSink(t);
  const client = start(t, 'client', ['--path', fifo(t), '--server-addr', `127.0.0.1:${sink.port}`]);
  await client.says('sending: ');
  t.equal(await client.stop(), 0);
});

t.test('a signal ends the wait for a FIFO whose writer is silent', async (t) => {
  const path = fifo(t);
  const sink = await udpSink(t);
  const client = start(t, 'client', ['--path', path, '--server-addr', `127.0.0.1:${sink.port}`]);
  await client.says('sending: ');
  const fd = openSync(path, 'r+');
  t.teardown(() => closeSync(fd));
  writeSync(fd, 'whole\nunfinished');
  await sink.has(6);
  t.equal(String(sink.bytes), 'whole\n', 'an unfinished line waits');
  t.equal(await client.stop(), 0);
  t.equal(String(await sink.has(16)), 'whole\nunfinished', 'and goes out when it ends');
});

t.test('a device is read until a signal', async (t) => {
  for (const device of ['/dev/zero', '/dev/random']) {
    const sink = await udpSink(t);
    const to = ['--server-addr', `127.0.0.1:${sink.port}`, '--rate', '500pps', '--frame', 'raw'];
    const client = start(t, 'client', ['--path', device, '--payload', '100', ...to]);
    await sink.has(5000);
    t.equal(await client.stop(), 0, device);
    t.ok(sink.datagrams.slice(0, -1).every(({ length }) => length === 100));
    const zeros = sink.datagrams[0]!.equals(Buffer.alloc(100));
    t.equal(zeros, device === '/dev/zero');
  }
});

t.test('an empty input is an end at once', async (t) => {
  const sink = await udpSink(t);
  const empty = join(t.testdir({ empty: '' }), 'empty');
  for (const path of [empty, '/dev/null']) {
    const client = start(t, 'client', ['--path', path, '--server-addr', `127.0.0.1:${sink.port}`]);
    t.equal(await client.exited, 0, path);
  }
  t.same(sink.datagrams, []);
});

t.test('stdin may be a file', async (t) => {
  const file = join(t.testdir({ in: 'a\nb\nc' }), 'in');
  const args = [process.execPath, launcher('client'), '--path', '-', '--tee'];
  const client = startProgram(t, 'sh', ['-c', 'file=$0; exec "$@" <"$file"', file, ...args]);
  t.equal(await client.exited, 0);
  t.equal(String(client.stdout), 'a\nb\nc');
});

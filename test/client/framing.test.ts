import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Running, start } from '../support/command.js';
import { type UdpSink, udpSink } from '../support/net.js';
import { mostlyWithin } from '../support/tries.js';
import { until } from '../support/wait.js';

/** A client that reads its stdin, and what it sends to. */
async function piped(
  t: Parameters<typeof start>[0],
  ...args: string[]
): Promise<{ client: Running; sink: UdpSink; write: (data: string) => void; texts: () => string[] }> {
  const sink = await udpSink(t);
  const client = start(t, 'client', ['--path', '-', '--server-addr', `127.0.0.1:${sink.port}`, ...args]);
  return {
    client,
    sink,
    write: (data) => client.child.stdin!.write(data),
    texts: () => sink.datagrams.map(String),
  };
}

/** What a file becomes. */
async function datagramsOf(t: Parameters<typeof start>[0], data: string | Buffer, ...args: string[]) {
  const sink = await udpSink(t);
  const file = join(t.testdir(), 'in');
  writeFileSync(file, data);
  const client = start(t, 'client', ['--path', file, '--server-addr', `127.0.0.1:${sink.port}`, ...args]);
  t.equal(await client.exited, 0);
  await sink.has(data.length);
  return sink.datagrams;
}

t.test('lines: as many whole lines as fit a datagram', async (t) => {
  const got = await datagramsOf(t, 'aaa\nbb\n\ncccc\nd\n', '--payload', '8');
  t.same(got.map(String), ['aaa\nbb\n\n', 'cccc\nd\n']);
});

t.test('lines by default fill what loopback carries, at most 8096 bytes', async (t) => {
  const got = await datagramsOf(t, `${'x'.repeat(99)}\n`.repeat(300));
  t.same(
    got.map(({ length }) => length),
    [8000, 8000, 8000, 6000],
  );
});

t.test('line: one line a datagram, its newline with it, empty lines too', async (t) => {
  const got = await datagramsOf(t, 'aaa\nbb\n\ncccc\nd', '--frame', 'line');
  t.same(got.map(String), ['aaa\n', 'bb\n', '\n', 'cccc\n', 'd']);
});

t.test('raw: every so many bytes', async (t) => {
  const got = await datagramsOf(t, 'aaa\nbb\n\ncccc\nd', '--frame', 'raw', '--payload', '5');
  t.same(got.map(String), ['aaa\nb', 'b\n\ncc', 'cc\nd']);
});

t.test('the key of an address is the flag, and wins over it', async (t) => {
  const sink = await udpSink(t);
  const file = join(t.testdir({ in: 'a\nb\n' }), 'in');
  const to = ['--frame', 'raw', '--server-addr', `127.0.0.1:${sink.port},frame=line`];
  t.equal(await start(t, 'client', ['--path', file, ...to]).exited, 0);
  await sink.has(4);
  t.same(sink.datagrams.map(String), ['a\n', 'b\n']);
});

for (const frame of ['lines', 'line']) {
  t.test(
    `${frame}: a line longer than --payload travels alone, and is cut beyond 65,507 bytes`,
    async (t) => {
      const long = 'l'.repeat(9000);
      const longest = 'm'.repeat(65_506);
      const beyond = 'n'.repeat(65_507);
      const data = `a\n${long}\nb\n${longest}\n${beyond}\nc\n`;
      const got = await datagramsOf(t, data, '--frame', frame, '--payload', '1400', '--rate', '200pps');
      t.equal(String(Buffer.concat(got)), data);
      const tail = frame === 'lines' ? ['\nc\n'] : ['\n', 'c\n'];
      t.same(got.map(String), ['a\n', `${long}\n`, 'b\n', `${longest}\n`, beyond, ...tail]);
    },
  );
}

t.test('whole lines are sent at once, and an unfinished one waits for its newline', async (t) => {
  const { client, sink, write, texts } = await piped(t);
  write('one\ntwo\nthr');
  await until('whole lines', () => texts().length === 1);
  t.same(texts(), ['one\ntwo\n']);
  write('ee\nfo');
  await until('the finished line', () => texts().length === 2);
  t.equal(texts()[1], 'three\n');
  write('ur');
  client.child.stdin!.end();
  t.equal(await client.exited, 0);
  t.equal(String(await sink.has(18)), 'one\ntwo\nthree\nfour', 'the last goes without one at EOF');
});

t.test('a whole line leaves within 50 ms, while the pipe stays open', async (t) => {
  const { write, texts, client } = await piped(t);
  await client.says('sending: ');
  let sent = 0;
  await mostlyWithin(t, 50, async () => {
    write(`${sent}\n`);
    sent++;
    await until('the line', () => texts().length === sent);
  });
});

t.test('raw sends an unfinished piece after --flush-after', async (t) => {
  const { client, write, texts } = await piped(
    t,
    '--frame',
    'raw',
    '--payload',
    '4',
    '--flush-after',
    '200ms',
  );
  await client.says('sending: ');
  const before = performance.now();
  write('abcdef');
  await until('the full piece', () => texts().length >= 1);
  await until('the unfinished piece', () => texts().length === 2);
  const took = performance.now() - before;
  t.same(texts(), ['abcd', 'ef']);
  t.ok(took > 150, `after ${Math.round(took)} ms`);
  write('g');
  client.child.stdin!.end();
  t.equal(await client.exited, 0);
  await until('the end', () => texts().length === 3);
});

t.test('raw never waits at EOF', async (t) => {
  const { client, sink, write } = await piped(t, '--frame', 'raw', '--flush-after', '1h');
  write('abc');
  client.child.stdin!.end('def');
  t.equal(await client.exited, 0);
  t.equal(String(await sink.has(6)), 'abcdef');
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

/** Sends so many datagrams of 100 bytes at a rate, and returns when each came, in ms from the first. */
async function arrivals(t: Test, rate: string, count: number, size = 100): Promise<number[]> {
  const sink = await udpSink(t);
  const file = join(t.testdir(), 'in');
  writeFileSync(file, Buffer.alloc(count * size, 'x'));
  const times: number[] = [];
  sink.socket.on('message', () => times.push(performance.now()));
  const to = ['--server-addr', `127.0.0.1:${sink.port}`, '--frame', 'raw', '--payload', String(size)];
  const client = start(t, 'client', ['--path', file, '--rate', rate, ...to]);
  t.equal(await client.exited, 0);
  await until('all are there', () => times.length === count);
  return times.map((time) => time - times[0]!);
}

for (const [rate, perSecond, size] of [
  ['5000pps', 5000, 100],
  ['200pps', 200, 100],
  ['8Mbps', 1000, 1000],
  ['1600kbps', 200, 1000],
] as const) {
  t.test(`--rate ${rate} is kept, and evenly`, async (t) => {
    const seconds = 1;
    const times = await arrivals(t, rate, perSecond * seconds, size);
    const took = times.at(-1)!;
    // A busy machine is late, never early.
    t.ok(took > seconds * 1000 - 60, `not faster: ${Math.round(took)} ms for ${seconds} s`);
    t.ok(took < seconds * 1000 + 600, `not slower: ${Math.round(took)} ms for ${seconds} s`);
    const half = times[Math.floor(times.length / 2)]!;
    t.ok(half > seconds * 300 && half < seconds * 700 + 400, `half of them by ${Math.round(half)} ms`);
    let most = 0;
    for (let i = 0, from = 0; i < times.length; i++) {
      while (times[i]! - times[from]! > 100) from++;
      most = Math.max(most, i - from + 1);
    }
    // What was late is caught up, a tenth of a second of it at most.
    t.ok(most <= perSecond * 0.3 + 2, `at most ${most} in 100 ms`);
  });
}

t.test('raw cuts a file evenly, however slowly it is sent', async (t) => {
  const sink = await udpSink(t);
  const file = join(t.testdir(), 'in');
  // More than one block of a file is read, and no block is a multiple of the payload.
  writeFileSync(file, Buffer.alloc(600_000));
  const args = ['--frame', 'raw', '--payload', '3000', '--rate', '200pps', '--flush-after', '20ms'];
  const client = start(t, 'client', ['--path', file, ...args, '--server-addr', `127.0.0.1:${sink.port}`]);
  t.equal(await client.exited, 0);
  await sink.has(600_000);
  t.ok(sink.datagrams.every(({ length }) => length === 3000));
});

t.test('the rate is for each destination', async (t) => {
  const sinks = [await udpSink(t), await udpSink(t)];
  const to = sinks.flatMap(({ port }) => ['--server-addr', `127.0.0.1:${port}`]);
  const file = join(t.testdir(), 'in');
  writeFileSync(file, 'x\n'.repeat(200));
  const before = performance.now();
  const args = ['--path', file, '--rate', '200pps', '--frame', 'line'];
  t.equal(await start(t, 'client', [...args, ...to]).exited, 0);
  const took = performance.now() - before;
  for (const sink of sinks) await until('all are there', () => sink.datagrams.length === 200);
  t.ok(took > 900 && took < 2000, `200 to each of two in ${Math.round(took)} ms`);
});

t.test('a pause of the input earns no burst', async (t) => {
  const sink = await udpSink(t);
  const times: number[] = [];
  sink.socket.on('message', () => times.push(performance.now()));
  const to = ['--server-addr', `127.0.0.1:${sink.port}`, '--frame', 'line'];
  const client = start(t, 'client', ['--path', '-', '--rate', '100pps', '--stats', '0.1', ...to]);
  client.child.stdin!.write('x\n');
  await until('the first', () => times.length === 1);
  const lines = () => client.stderr.split('stats: ').length;
  await until('a while later', () => lines() > 6);
  client.child.stdin!.end('x\n'.repeat(50));
  t.equal(await client.exited, 0);
  await until('all', () => times.length === 51);
  const took = times[50]! - times[1]!;
  t.ok(took > 350, `50 at 100 a second in ${Math.round(took)} ms`);
});

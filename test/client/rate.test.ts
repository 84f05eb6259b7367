import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { type UdpSink, udpSink } from '../support/net.js';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';

/** When each datagram comes to a sink, ms. */
function timesOf(sink: UdpSink): number[] {
  const times: number[] = [];
  sink.socket.on('message', () => times.push(performance.now()));
  return times;
}

/** Sends so many datagrams at a rate, and returns when each came, in ms from the first. */
async function arrivals(t: Test, rate: string, count: number, size: number): Promise<number[]> {
  const sink = await udpSink(t);
  const times = timesOf(sink);
  const file = join(t.testdir(), 'in');
  writeFileSync(file, Buffer.alloc(count * size, 'x'));
  const to = ['--server-addr', `127.0.0.1:${sink.port}`, '--frame', 'raw', '--payload', String(size)];
  const client = start(t, 'client', ['--path', file, '--rate', rate, ...to]);
  t.equal(await client.exited, 0);
  // A small buffer may have had no room for some while nobody looked.
  await until('all are there', () => times.length === count, 2000).catch(() => undefined);
  return times.map((time) => time - times[0]!);
}

for (const [rate, perSecond, size] of [
  ['5000pps', 5000, 100],
  ['200pps', 200, 100],
  ['8Mbps', 1000, 1000],
  ['1600kbps', 200, 1000],
] as const) {
  t.test(`--rate ${rate} is kept, and evenly`, (t) =>
    inOneOfSome(t, async () => {
      const times = await arrivals(t, rate, perSecond, size);
      const took = Math.round(times.at(-1)!);
      const half = Math.round(times[Math.floor(times.length / 2)]!);
      const most = mostWithin(times, 100);
      return untrue({
        [`${times.length} of ${perSecond} came`]: times.length === perSecond,
        [`not faster: ${took} ms for a second`]: took > 940,
        [`not slower: ${took} ms for a second`]: took < 1600,
        [`half of them by ${half} ms`]: half > 300 && half < 1100,
        // What was late is caught up, a tenth of a second of it at most.
        [`at most ${most} in 100 ms`]: most <= perSecond * 0.3 + 2,
      });
    }),
  );
}

t.test('raw cuts a file evenly, however slowly it is sent', async (t) => {
  const sink = await udpSink(t);
  const file = join(t.testdir(), 'in');
  // More than one block of a file is read, and no block is a multiple of the payload.
  writeFileSync(file, Buffer.alloc(270_000));
  const args = ['--frame', 'raw', '--payload', '3000', '--rate', '100pps', '--flush-after', '20ms'];
  const client = start(t, 'client', ['--path', file, ...args, '--server-addr', `127.0.0.1:${sink.port}`]);
  t.equal(await client.exited, 0);
  await sink.has(270_000);
  t.ok(sink.datagrams.every(({ length }) => length === 3000));
});

t.test('the rate is for each destination', async (t) => {
  const file = join(t.testdir(), 'in');
  writeFileSync(file, 'x\n'.repeat(200));
  await inOneOfSome(t, async () => {
    const sinks = [await udpSink(t), await udpSink(t)];
    const times = sinks.map(timesOf);
    const to = sinks.flatMap(({ port }) => ['--server-addr', `127.0.0.1:${port}`]);
    const args = ['--path', file, '--rate', '200pps', '--frame', 'line'];
    t.equal(await start(t, 'client', [...args, ...to]).exited, 0);
    for (const sink of sinks) await until('all are there', () => sink.datagrams.length === 200);
    const took = times.map((came) => Math.round(came.at(-1)! - came[0]!));
    return untrue({ [`200 to each of two in ${took} ms`]: took.every((ms) => ms > 900 && ms < 2000) });
  });
});

t.test('a pause of the input earns no burst', (t) =>
  inOneOfSome(t, async () => {
    const sink = await udpSink(t);
    const times = timesOf(sink);
    const to = ['--server-addr', `127.0.0.1:${sink.port}`, '--frame', 'line'];
    const client = start(t, 'client', ['--path', '-', '--rate', '100pps', '--stats', '0.1', ...to]);
    client.child.stdin!.write('x\n');
    await until('the first', () => times.length === 1);
    const lines = () => client.stderr.split('stats: ').length;
    await until('a while later', () => lines() > 6);
    client.child.stdin!.end('x\n'.repeat(50));
    t.equal(await client.exited, 0);
    await until('all', () => times.length === 51);
    const took = Math.round(times[50]! - times[1]!);
    return untrue({ [`50 at 100 a second in ${took} ms`]: took > 350 });
  }),
);

/** The most that came in any so many milliseconds. */
function mostWithin(times: number[], ms: number): number {
  let most = 0;
  for (let i = 0, from = 0; i < times.length; i++) {
    while (times[i]! - times[from]! > ms) from++;
    most = Math.max(most, i - from + 1);
  }
  return most;
}

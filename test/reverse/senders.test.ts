import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { groupSink, loopbackGroup } from '../support/group.js';
import { residentMemory } from '../support/memory.js';
import { until } from '../support/wait.js';

const SENDERS = 2000;
/** An unfinished line, less than a datagram. */
const LINE = 60_000;
const PART = 10_000;
/** What a sender may take: 64 KiB for its unfinished line, its connection, and as much that V8 did not collect yet. */
const MEMORY_PER_SENDER = 144 * 1024;

async function connectAll(t: Test, ports: number[]): Promise<Socket[]> {
  return Promise.all(
    ports.map(async (port) => {
      const socket = connect(port, '127.0.0.1');
      t.teardown(() => socket.destroy());
      await once(socket, 'connect');
      return socket;
    }),
  );
}

const skip = process.platform !== 'linux' && 'the memory of a process is read from /proc';

t.test('two thousand senders with unfinished lines stay within a bound', { skip }, async (t) => {
  const group = await loopbackGroup();
  const sink = await groupSink(t, group);
  const listen = Array.from({ length: 2 }, () => ['--tcp-listen-addr', '127.0.0.1:0']).flat();
  const reverse = start(t, 'reverse', ['--multicast-addr', group.address, ...listen, '--stats', '0.2']);
  const connections = () =>
    [...reverse.stderr.matchAll(/ (\d[\d,]*) connections? now/g)]
      .slice(-2)
      .reduce((sum, [, count]) => sum + Number(count!.replaceAll(',', '')), 0);
  const ports = [await reverse.port(0), await reverse.port(1)];
  const before = residentMemory(reverse.child.pid!);
  const sockets = await connectAll(
    t,
    Array.from({ length: SENDERS }, (_, i) => ports[i % 2]!),
  );
  await until('all are connected', () => connections() === SENDERS, 30_000);
  const line = Buffer.alloc(LINE, 'x');
  const last = sockets.at(-1)!;
  for (let at = 0; at < LINE; at += PART) {
    const part = line.subarray(at, at + PART);
    for (const socket of sockets.slice(0, -1)) await new Promise((resolve) => socket.write(part, resolve));
    // A line that arrives tells that what was sent before was read.
    last.write('read\n');
    await sink.has((5 * (at + PART)) / PART, 30_000);
  }
  const grown = residentMemory(reverse.child.pid!) - before;
  t.comment(`${Math.round(grown / SENDERS / 1024)} KiB a sender`);
  t.ok(grown < SENDERS * MEMORY_PER_SENDER, `${grown} bytes more`);
  sockets[0]!.write('end\n');
  const read = 'read\n'.repeat(LINE / PART);
  const bytes = await sink.has(read.length + LINE + 4, 30_000);
  t.ok(bytes.equals(Buffer.from(`${read}${line}end\n`)), 'lines arrive whole');
  t.equal(await reverse.stop(), 0);
});

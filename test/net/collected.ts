import type { Connection, Streams } from 'mproxy-net';
import { HostedLoop } from 'mproxy-net/linux/hosted-loop';
import { loadLibc } from 'mproxy-net/linux/libc';
import { Loop } from 'mproxy-net/linux/loop';
import { StreamParts } from 'mproxy-net/linux/streams/parts';
import { linuxStreams } from 'mproxy-net/linux/streams/streams';
import { loadUv } from 'mproxy-net/linux/uv';
import { passTo } from './connections.js';

/**
 * A program for streams.long.ts: passes bytes through a chain of connections for so many seconds, while garbage is collected, and says
 * what became of them. Each byte tells its place in the stream.
 */

const CANARY = 64 * 1024;
const MEMORY = 64 * 1024;
/** Odd, so that pieces begin anywhere. */
const PERIOD = 251;
const seconds = Number(process.argv[2]);
const collect = (globalThis as { gc?: () => void }).gc!;

const around = Buffer.alloc(MEMORY + 2 * CANARY, 0xaa);
const libc = loadLibc();
const loop = new Loop(libc);
new HostedLoop(loadUv(), loop);
const parts = new StreamParts(libc, loop, undefined, undefined, around.subarray(CANARY, -CANARY));
const streams = linuxStreams(parts, undefined as unknown as Streams);

const problems: string[] = [];
const problem = (text: string) => problems.length < 5 && problems.push(text);
let received = 0;
const until = performance.now() + seconds * 1000;

/** Fresh memory for each piece: nothing but the engine refers to it once it is written. */
function* pieces(): Generator<Buffer> {
  for (let at = 0; performance.now() < until; ) {
    const piece = Buffer.allocUnsafeSlow(1 + ((at * 7919) % 200_000));
    for (let i = 0; i < piece.length; i++) piece[i] = (at + i) % PERIOD;
    at += piece.length;
    yield piece;
  }
}

function send(connection: Connection): () => void {
  const source = pieces();
  const pump = () => {
    for (;;) {
      const { value, done } = source.next();
      if (done) {
        connection.end();
        return;
      }
      if (!connection.write([value.subarray(0, value.length >> 1), value.subarray(value.length >> 1)]))
        return;
    }
  };
  return pump;
}

function checker(): (bytes: Buffer) => void {
  let at = 0;
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++)
      if (bytes[i] !== (at + i) % PERIOD) {
        problem(`byte ${at + i} is wrong`);
        break;
      }
    at += bytes.length;
    received += bytes.length;
  };
}

const onHopClose = (error?: Error) => error && problem(`the hop: ${error.message}`);

let open = 0;
function end(connection: Connection): void {
  open++;
  const pump = send(connection);
  const check = checker();
  connection.start({
    onData: check,
    onDrain: pump,
    onEnd: () => undefined,
    onClose(error) {
      if (error) problem(error.message);
      if (--open === 0) finish();
    },
  });
  pump();
}

const server = await streams.listen({ at: { address: '127.0.0.1', port: 0 }, onConnection: end });
const hop = await streams.listen({
  at: { address: '127.0.0.1', port: 0 },
  async onConnection(client) {
    const upstream = await streams.connect({ to: server.local! });
    client.start(passTo(client, upstream, onHopClose));
    upstream.start(passTo(upstream, client, onHopClose));
  },
});
const collections = setInterval(collect, 20);
for (let i = 0; i < 4; i++) end(await streams.connect({ to: hop.local! }));

function finish(): void {
  clearInterval(collections);
  server.close();
  hop.close();
  const edges = [around.subarray(0, CANARY), around.subarray(-CANARY)];
  if (!edges.every((edge) => edge.every((byte) => byte === 0xaa)))
    problem('bytes beside the memory are written');
  process.stdout.write(JSON.stringify({ received, problems }));
}

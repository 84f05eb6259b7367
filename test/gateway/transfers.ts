import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import type { Test } from 'tap';
import { peakPrivateMemory } from '../support/memory.js';
import { Random } from '../support/random.js';
import { program } from './program.js';

/** Random bytes, of which random slices are sent. */
const BYTES = new Random().bytes(1 << 18);
const SLOW = 0.002;

/** Writes so many bytes in pieces of random lengths, with pauses. @returns their SHA-256 */
async function produce(random: Random, size: number, to: Writable): Promise<string> {
  const hash = createHash('sha256');
  for (let left = size; left > 0; ) {
    const most = random.next() < 0.1 ? 20 : random.next() < 0.5 ? 5000 : BYTES.length;
    const length = Math.min(left, random.integer(1, most));
    const at = random.integer(0, BYTES.length - length);
    const piece = BYTES.subarray(at, at + length);
    hash.update(piece);
    left -= length;
    if (!to.write(piece)) await once(to, 'drain');
    if (random.next() < SLOW) await wait(random.integer(1, 5));
  }
  to.end();
  return hash.digest('hex');
}

/** Reads all, with pauses. @returns its length and SHA-256 */
async function consume(random: Random, from: IncomingMessage): Promise<string> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const piece of from) {
    hash.update(piece);
    length += piece.length;
    if (random.next() < SLOW) await wait(random.integer(1, 20));
  }
  return `${length} ${hash.digest('hex')}`;
}

const isWhole = (size: number, sha: string) => `${size} ${sha}`;

/**
 * Bytes in both directions, of known length and in chunks, with pauses and slow readers on all sides; they must be identical.
 * @param size of all in one direction, in bytes
 * @param most memory of the gateway with one worker, in bytes, without the pages of files
 */
export async function transfers(t: Test, size: number, most: number, engine?: string): Promise<void> {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const quarter = size / 4;
  const sent: Record<string, string> = {};
  const answer = async (incoming: IncomingMessage, response: ServerResponse) => {
    const path = incoming.url!;
    if (incoming.method === 'POST') response.end(await consume(random, incoming));
    else {
      if (path.startsWith('/length')) response.setHeader('content-length', quarter);
      sent[path] = await produce(random, quarter, response);
    }
  };
  const server = createServer((incoming, response) => void answer(incoming, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  t.teardown(() => server.closeAllConnections());
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const gateway = await program(
    t,
    { routes: [{ path: '/', upstream }] },
    engine === undefined ? {} : { engine },
  );

  const ask = (path: string, method: string) => {
    const headers = path.startsWith('/length') && method === 'POST' ? { 'content-length': quarter } : {};
    return request({ port: gateway.port, host: '127.0.0.1', path, method, headers, agent: false });
  };
  const upload = async (path: string) => {
    const asking = ask(path, 'POST');
    const answered = once(asking, 'response');
    const sha = await produce(random, quarter, asking);
    const [response] = (await answered) as [IncomingMessage];
    let told = '';
    for await (const piece of response) told += piece;
    t.equal(told, isWhole(quarter, sha), `up by ${path}`);
  };
  const download = async (path: string) => {
    const asking = ask(path, 'GET');
    asking.end();
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    const got = await consume(random, response);
    t.equal(got, isWhole(quarter, sent[path]!), `down by ${path}`);
  };
  // Two at a time in each direction, twice.
  for (const turn of [1, 2]) {
    const paths = [`/length${turn}`, `/chunks${turn}`];
    await Promise.all(paths.flatMap((path) => [upload(path), download(path)]));
  }
  if (process.platform === 'linux') {
    const peak = peakPrivateMemory(gateway.running.child.pid!);
    t.ok(peak <= most, `${Math.round(peak / 2 ** 20)} MiB at most`);
  }
  await gateway.logged('/length2', 2);
  t.strictSame(
    gateway.lines.filter(({ cut }) => cut !== undefined),
    [],
  );
}

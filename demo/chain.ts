import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { writeCertificate } from './certificate.js';
import type { Demonstration } from './demonstration.js';
import type { Feed } from './feed.js';
import { Hop } from './hop.js';
import { type Middle, type MiddleName, openMiddle } from './middle.js';
import { connectReader, fileReader, type Reader, Tally } from './reader.js';
import { until } from './until.js';

/** Silence after which readers expect no more data. */
const IDLE_MS = 2_000;
/** How much longer than its rate implies the client may take. */
const CLIENT_GRACE_MS = 8_000;
/** UDP payload of an Ethernet frame; loopback would allow more. */
const PAYLOAD = ['--payload', '1472'];

/** The names of the hops, in the direction of the data. */
export type HopName = 'client' | 'forward' | 'reverse A' | 'reverse B' | 'server';

/**
 * Client, forward, a group or a subject, and two reverses, which serve TCP and TLS readers and a server with its file. It
 * is started from its end, so that every datagram has a receiver.
 */
export class Chain implements Demonstration {
  readonly sent = new Tally();
  readonly hops = new Map<HopName, Hop>();
  readonly readers: Reader[] = [];
  /** The address that the client sends to. */
  entry = '';
  middle: Middle | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), 'mproxy-demo-'));
  #closed = false;

  /** @param started called for every started hop */
  constructor(
    readonly feed: Feed,
    private readonly middleName: MiddleName,
    private readonly started: (hop: Hop) => void,
  ) {}

  /** Starts all programs; the client has no input yet. */
  async open(): Promise<void> {
    const authority = await writeCertificate(this.#folder, ['localhost']);
    this.middle = await openMiddle(this.middleName, this.#folder);
    const { address: middle, joined } = this.middle;
    const tcp = ['--tcp-output-addr', '127.0.0.1:0'];
    const tls = ['--tcp-output-addr', 'tls://127.0.0.1:0', '--tls-cert', 'cert.pem', '--tls-key', 'key.pem'];

    const server = this.#start('server', ['--listen-addr', '127.0.0.1:0', '--path', 'received']);
    const [serverPort] = await server.listening(1);
    const file = ['--udp-output-addr', `127.0.0.1:${serverPort}`];
    const a = this.#start('reverse A', ['--multicast-addr', middle, ...tcp, ...file]);
    const b = this.#start('reverse B', ['--multicast-addr', middle, ...tcp, ...tls]);
    const downstream = ['--udp-downstream-addr', middle];
    const forward = this.#start('forward', ['--udp-listen-addr', '127.0.0.1:0', ...downstream]);
    await Promise.all([a, b, forward].map((hop) => hop.says(joined)));
    // The last address in a reverse's notices may be the group.
    const [[plainA], [plainB, secureB], [entry]] = await Promise.all([
      a.listening(1),
      b.listening(2),
      forward.listening(1),
    ]);
    this.readers.push(
      await connectReader('TCP reader 1', plainA!),
      await connectReader('TCP reader 2', plainA!),
      fileReader('file', join(this.#folder, 'received')),
      await connectReader('TCP reader 3', plainB!),
      await connectReader('TLS reader 4', secureB!, authority),
      await connectReader('TLS reader 5', secureB!, authority),
    );
    await Promise.all([a.served(2), b.served(3)]);
    this.entry = `127.0.0.1:${entry}`;
    const pace = ['--rate', `${this.feed.rate}bps`, ...PAYLOAD];
    this.#start('client', ['--path', '-', '--server-addr', this.entry, ...pace]);
  }

  /** Sends the feed and waits until all readers have received it. */
  async run(): Promise<void> {
    const [client, forward, a, b, server] = HOP_ORDER.map((name) => this.hops.get(name)!) as FiveHops;
    await this.#send(client.input);
    const seconds = (this.sent.bytes * 8) / this.feed.rate;
    await until(() => !client.running, seconds * 1000 + CLIENT_GRACE_MS);
    await client.stop();
    await this.#waitForReaders();
    // Each flushes its data before the next one is stopped.
    await forward.stop();
    await Promise.all([a.stop(), b.stop()]);
    await server.stop();
    await until(() => this.readers.every((reader) => reader.ended()), IDLE_MS);
    this.poll();
  }

  poll(): void {
    for (const reader of this.readers) reader.poll();
  }

  result(): { good: boolean; lines: string[] } {
    const { readers, sent } = this;
    const wrong = readers.filter(({ tally }) => tally.difference(sent)).length;
    const who =
      wrong === 0 ? `All ${readers.length} readers got` : `${wrong} of ${readers.length} readers did not get`;
    const lines = [
      `${who} the ${sent.bytes.toLocaleString('en')} bytes that were sent, byte for byte.`,
      `SHA-256 of what was sent: ${sent.digest.slice(0, 32)}...`,
    ];
    return { good: wrong === 0, lines };
  }

  /** Stops all programs and removes their files. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const reader of this.readers) reader.close();
    await Promise.all([...this.hops.values()].map((hop) => hop.stop()));
    await this.middle?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #start(name: HopName, args: string[]): Hop {
    if (this.#closed) throw new Error('closed');
    const hop = new Hop(name.split(' ')[0]!, args, this.#folder);
    this.hops.set(name, hop);
    this.started(hop);
    return hop;
  }

  async #send(input: Writable): Promise<void> {
    const { sent } = this;
    const counted = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        sent.add(chunk);
        yield chunk;
      }
    };
    await pipeline(this.feed.stream, counted, input).catch((error: NodeJS.ErrnoException) => {
      // Writing fails after the client ended; its failure is reported with the result.
      if (!['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(error.code ?? '')) throw error;
    });
  }

  /** Waits until every reader has received all bytes, or none receives more. */
  async #waitForReaders(): Promise<void> {
    const received = () => {
      this.poll();
      return this.readers.reduce((sum, { tally }) => sum + tally.bytes, 0);
    };
    const complete = () => this.readers.every(({ tally }) => tally.bytes >= this.sent.bytes);
    let before: number;
    do before = received();
    while (!complete() && (await until(() => received() > before, IDLE_MS)));
  }
}

const HOP_ORDER: HopName[] = ['client', 'forward', 'reverse A', 'reverse B', 'server'];
type FiveHops = [Hop, Hop, Hop, Hop, Hop];

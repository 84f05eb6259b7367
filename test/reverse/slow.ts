import type { Socket } from 'node:net';
import type { Test } from 'tap';
import { Authority, pairFlags } from '../support/certificates.js';
import { start } from '../support/command.js';
import { type Group, groupSend, loopbackGroup } from '../support/group.js';
import { peakMemory } from '../support/memory.js';
import { openSocket } from '../support/net.js';
import { until } from '../support/wait.js';

/** Bytes of a record; with `--frame line` a record is a datagram. */
const RECORD = 4000;
const SLOW = 5;
const FAST = 3;

/** Record n: its number again and again, and a newline, so that a piece of another in it shows. */
function record(n: number): Buffer {
  const bytes = Buffer.alloc(RECORD, String(n).padStart(8, '0'));
  bytes[RECORD - 1] = 0x0a;
  return bytes;
}

/** Reads records, and keeps what was wrong with them instead of the bytes. */
class Checker {
  /** Records that were whole, and the number of the last. */
  whole = 0;
  last = -1;
  torn = '';
  #rest: Buffer = Buffer.alloc(0);

  constructor(readonly socket: Socket) {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => this.#take(chunk));
  }

  static async connect(t: Test, port: number, tls = false): Promise<Checker> {
    return new Checker(await openSocket(t, port, tls));
  }

  #take(chunk: Buffer): void {
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (; bytes.length >= RECORD && !this.torn; bytes = bytes.subarray(RECORD)) {
      const n = Number(bytes.toString('latin1', 0, 8));
      if (n > this.last && bytes.subarray(0, RECORD).equals(record(n))) {
        this.whole++;
        this.last = n;
      } else this.torn = `after record ${this.last}: ${bytes.toString('latin1', 0, 40)}`;
    }
    this.#rest = bytes;
  }
}

/** Records that the smallest buffer of a socket has room for. */
const AT_ONCE = 25;

/** Sends records to a group with the real client, no faster than the fast clients read. */
async function pour(t: Test, group: Group, records: number, fast: Checker[], rate: string): Promise<void> {
  const args = ['--path', '-', '--frame', 'line', '--rate', rate, '--server-addr', group.address];
  const client = start(t, 'client', args);
  const { stdin } = client.child;
  for (let n = 0; n < records; n += AT_ONCE) {
    const part = Array.from({ length: Math.min(AT_ONCE, records - n) }, (_, i) => record(n + i));
    stdin!.write(Buffer.concat(part));
    const came = ({ last, torn }: Checker) => last >= n + part.length - 1 || torn !== '';
    await until(`records up to ${n + part.length} came`, () => fast.every(came), 20_000);
  }
  stdin!.end();
  t.equal(await client.exited, 0, client.stderr);
}

/** Five clients stop reading while records pass; the others have all of them before the five read again. */
export async function slowClients(t: Test, records: number, rate: string, tls = false): Promise<void> {
  const group = await loopbackGroup();
  const pair = tls ? await (await Authority.make(t)).sign({ dns: ['feed.test'] }) : undefined;
  const output = pair ? ['tls://127.0.0.1:0', ...pairFlags(pair)] : ['127.0.0.1:0'];
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--stats', '0.5', '--tcp-output-addr', ...output],
  ]);
  const port = await reverse.port();
  const connectAll = (count: number) =>
    Promise.all(Array.from({ length: count }, () => Checker.connect(t, port, tls)));
  const slow = await connectAll(SLOW);
  const fast = await connectAll(FAST);
  await reverse.says(`${SLOW + FAST} clients now`);
  for (const { socket } of slow) socket.pause();
  await pour(t, group, records, fast, rate);
  for (const client of fast) {
    t.equal(client.torn, '');
    t.equal(client.whole, records, 'a client that reads misses nothing');
  }
  for (const client of slow) t.ok(client.whole < records, 'the five have not read yet');
  const memory = process.platform === 'linux' ? peakMemory(reverse.child.pid!) : undefined;
  for (const { socket } of slow) socket.resume();
  // One record more, until a queue has room for it, is the end of what the five were sent.
  let next = records;
  const behind = () => slow.filter(({ last, torn }) => last < records && !torn);
  await until('the five are up to date', async () => {
    await groupSend(group, [record(next++)]);
    return behind().length === 0;
  });
  for (const client of slow) {
    t.equal(client.torn, '', 'a slow client sees whole datagrams alone');
    t.ok(client.whole > 100, `it has what was queued: ${client.whole} records`);
    t.ok(client.whole < records, 'and misses what was not');
  }
  t.comment(`peak memory ${memory}`);
  if (memory !== undefined) t.ok(memory < 150e6, `peak memory ${memory}`);
  t.equal(await reverse.stop(), 0);
  t.match(reverse.stderr, /lost in all: .*: dropped [\d,]+ datagrams: clients did not keep up/);
  t.notMatch(reverse.stderr, 'the kernel dropped', 'the load was what lo carries');
}

import { createSocket, type Socket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { freeUdpPort } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';

const SESSION = 'REAL';
/** Datagrams that are handed to the kernel before the event loop has its turn. */
const BURST = 200;

/** A line that no random packet has by chance: the real sender's. */
const REAL = /<real \d{6} x*>\n/g;

function makeLines(random: Random, count: number): Buffer {
  const line = (_: unknown, i: number) =>
    `<real ${`${i}`.padStart(6, '0')} ${'x'.repeat(random.integer(0, 200))}>\n`;
  return Buffer.from(Array.from({ length: count }, line).join(''));
}

/** The real sender's lines, as they stand in a file that has forged messages too. */
function realLines(file: string): Buffer {
  return Buffer.from(readFileSync(file, 'latin1').match(REAL)?.join('') ?? '', 'latin1');
}

type Stream = Awaited<ReturnType<typeof stream>>;

/** A file with such lines, and a client and a server between which it goes, in so many seconds. */
async function stream(t: Test, random: Random, engine: string, seconds: number) {
  const directory = t.testdir();
  const [from, to] = [join(directory, 'in'), join(directory, 'out')];
  const data = makeLines(random, 20_000);
  writeFileSync(from, data);
  const server = start(t, 'server', [
    ...['--path', to, '--listen-addr', '127.0.0.1:0', '--frame', 'mold', '--engine', engine],
  ]);
  const port = await server.port();
  const own = await freeUdpPort();
  const client = start(t, 'client', [
    ...['--path', from, '--server-addr', `127.0.0.1:${port},bind=127.0.0.1:${own}`, '--frame', 'mold'],
    ...['--session', SESSION, '--rate', `${Math.ceil((data.length * 8) / seconds)}bps`],
    ...['--payload', '1400', '--engine', engine, '--linger', '1m'],
    ...['--repair-rate', '50Mbps'],
  ]);
  await server.says(`session ${SESSION} of`);
  return { data, to, server, client, serverPort: port, clientPort: own };
}

/** A socket on each of these addresses; what comes to them is dropped. */
async function sockets(t: Test, addresses: string[]): Promise<Socket[]> {
  return Promise.all(
    addresses.map(async (address) => {
      const socket = createSocket('udp4');
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind(0, address, resolve);
      });
      t.teardown(() => socket.close());
      return socket;
    }),
  );
}

/** So many loopback addresses, none of which is 127.0.0.1. */
function manyAddresses(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `127.77.${i >> 8}.${i & 255}`);
}

/** Sends so many forged datagrams to a port, each from a socket at random, as fast as the kernel takes them. */
async function flood(
  random: Random,
  from: Socket[],
  port: number,
  count: number,
  forge: () => Buffer,
): Promise<void> {
  for (let sent = 0; sent < count; ) {
    const burst = Math.min(BURST, count - sent);
    sent += burst;
    await new Promise<void>((resolve) => {
      let open = burst;
      for (let i = 0; i < burst; i++)
        random.pick(from).send(forge(), port, '127.0.0.1', () => {
          open--;
          if (open === 0) resolve();
        });
    });
  }
}

const NUMBERS = [
  0,
  1,
  2,
  1000,
  2 ** 16,
  2 ** 31,
  2 ** 32,
  2 ** 52,
  Number.MAX_SAFE_INTEGER,
  2 ** 53,
  2 ** 64 - 2048,
];
const COUNTS = [0, 1, 2, 3, 100, 0xfffe, 0xffff];

/** A packet, right or not: of the real session's name or one of few or of many, with numbers that are near or far. */
function forgePacket(random: Random): Buffer {
  if (random.next() < 0.1) return random.bytes(random.integer(0, 60));
  const messages = Array.from({ length: random.integer(0, 5) }, () => {
    const length = random.next() < 0.02 ? random.integer(0, 1300) : random.integer(0, 40);
    const block = Buffer.alloc(2 + length, 'forged');
    block.writeUInt16BE(length);
    return block;
  });
  const packet = Buffer.concat([forgeRequest(random), ...messages]);
  if (random.next() < 0.9) packet.writeUInt16BE(messages.length, 18);
  return random.next() < 0.2 ? mutate(random, packet) : packet;
}

/** Twenty bytes: a request, a heartbeat or an end of session. */
function forgeRequest(random: Random): Buffer {
  const few = `S${random.integer(0, 20)}`;
  const session = random.pick([SESSION, SESSION, few, few, few, `${random.next()}`.slice(2, 12)]);
  const packet = Buffer.alloc(20, session.padEnd(10), 'latin1');
  const number = random.next() < 0.8 ? random.integer(0, 20_000) : random.pick(NUMBERS);
  packet.writeBigUInt64BE(BigInt(number), 10);
  packet.writeUInt16BE(random.next() < 0.5 ? random.integer(0, 1000) : random.pick(COUNTS), 18);
  return packet;
}

/** Some bytes are others, or some are missing, or too many. */
function mutate(random: Random, packet: Buffer): Buffer {
  const bytes = Buffer.from(packet);
  for (let i = random.integer(0, 3); i > 0; i--)
    bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
  const way = random.next();
  if (way < 0.3) return bytes.subarray(0, random.integer(0, bytes.length));
  return way < 0.5 ? Buffer.concat([bytes, random.bytes(random.integer(1, 30))]) : bytes;
}

/** The most memory that a process ever had, in MiB (proc_pid_status(5)). */
function peakMemory({ child }: Running): number {
  const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

/** Waits until the server's file has all that the client sent. */
async function completes(t: Test, { data, to, client, server }: Stream): Promise<void> {
  // The notice of its end may be one of many that are summed up: the file tells.
  const all = () => realLines(to).length >= data.length;
  await until('the file has every line of the real sender', all, 60_000);
  t.ok(realLines(to).equals(data), 'once and in order');
  t.equal(await client.stop(), 0, client.stderr);
  t.equal(await server.stop(), 0);
  t.notMatch(server.stderr + client.stderr, /\n {4}at /);
}

interface Fuzz {
  engine: string;
  /** Forged datagrams to each end. */
  count: number;
  /** How long the real stream takes, at least. */
  seconds: number;
}

/** Sends forged packets to a server that receives a real stream. @returns the most memory it had, in MiB */
export async function fuzzReceiver(t: Test, { engine, count, seconds }: Fuzz): Promise<number> {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const real = await stream(t, random, engine, seconds);
  const from = await sockets(t, manyAddresses(20));
  await flood(random, from, real.serverPort, count, () => forgePacket(random));
  const memory = peakMemory(real.server);
  await completes(t, real);
  t.comment(`${engine}: the server had ${memory.toFixed()} MiB at most`);
  return memory;
}

/** Sends forged requests from many addresses to a client that sends a real stream. @returns as {@link fuzzReceiver} */
export async function fuzzSender(t: Test, { engine, count, seconds }: Fuzz): Promise<number> {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const real = await stream(t, random, engine, seconds);
  const from = await sockets(t, manyAddresses(1000));
  await flood(random, from, real.clientPort, count, () =>
    random.next() < 0.3 ? mutate(random, forgeRequest(random)) : forgeRequest(random),
  );
  t.ok(real.client.running, 'the client lives');
  const memory = peakMemory(real.client);
  await completes(t, real);
  t.comment(`${engine}: the client had ${memory.toFixed()} MiB at most`);
  return memory;
}

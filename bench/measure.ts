import { rmSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, type Contestant, GROUP, HOST, type Place } from './contestant.js';
import { gateway } from './gateway.js';
import { LoopbackHost } from './hosts.js';
import { LINE_BYTES, writeLines } from './lines.js';
import type { Load } from './loads.js';
import { many } from './many.js';
import { native } from './native.js';
import { freeTcpPort, freeUdpPort, isListening, udpSockets, until } from './ports.js';
import { Helper, Program } from './program.js';
import { repair } from './repair.js';
import { NOTHING, type Sample } from './sample.js';

const IDLE_MS = 300;
const POLL_MS = 10;
/** Time for a program to finish starting after it opened its sockets, such as its threads. */
const SETTLE_MS = 150;
/** Datagrams sent before latency is measured. */
const WARM_UP = 200;
/** A flood ends by time; these limit the server's file and the counter's memory. */
const MAX_BYTES = 3e9;
const MAX_DATAGRAMS = 8e6;

/** @returns undefined if the contestant does not support this load */
export async function measure(contestant: Contestant, load: Load, work: string): Promise<Sample | undefined> {
  if (load.role === 'repair') return await repair(contestant, load, work);
  if (load.role === 'gateway' || load.role === 'start') return await gateway(contestant, load, work);
  const place = {
    in: await freeUdpPort(),
    out: await (load.role === 'group' ? freeTcpPort() : freeUdpPort()),
    file: join(work, load.role === 'client' ? `input-${load.bytes}` : 'output'),
  };
  const command = contestant.command(load, place);
  if (!command) return undefined;
  if (load.role === 'client') return await client(command, load, place);
  rmSync(place.file, { force: true });
  if (load.role === 'many') return await many(command, load, place);
  const host = command.isolated ? new LoopbackHost(GROUP) : undefined;
  const prefix = host?.prefix ?? [];
  const program = new Program({ ...command, argv: [...prefix, ...command.argv] });
  try {
    const ended = () => !program.alive && `it ended: ${program.lastWords}`;
    const isOpen = () =>
      load.role === 'group' ? isListening(place.out, program.pid) : udpSockets(place.in, program.pid) > 0;
    await until('open socket', isOpen, ended);
    await sleep(SETTLE_MS);
    return await { relay, server, group, latency }[load.role](program, load, place, command, prefix);
  } finally {
    await program.stop();
    host?.remove();
    rmSync(place.file, { force: true });
    rmSync(`${place.file}.aux`, { force: true });
  }
}

async function relay(program: Program, load: Load, place: Place): Promise<Sample> {
  const sink = new Helper(native('count'), HOST, place.out, load.size, expected(load), IDLE_MS);
  try {
    await until('counter', () => udpSockets(place.out) > 0);
    const before = program.usage();
    const sent = await generate(load, HOST, place.in);
    const got = await sink.findings;
    return sample(program, before.cpu, load, sent, got.intact!, Math.max(sent.seconds!, got.seconds!));
  } finally {
    sink.kill();
  }
}

async function server(program: Program, load: Load, place: Place): Promise<Sample> {
  const before = program.usage();
  const sent = await generate(load, HOST, place.in);
  const size = () => statSync(place.file, { throwIfNoEntry: false })?.size ?? 0;
  const end = performance.now();
  let last = -1;
  let grew = 0;
  for (let since = 0; since < IDLE_MS && last < sent.sent! * load.size; since += POLL_MS) {
    if (size() !== last) {
      since = 0;
      last = size();
      grew = performance.now() - end;
    }
    await sleep(POLL_MS);
  }
  return sample(program, before.cpu, load, sent, last / load.size, sent.seconds! + grew / 1000);
}

async function group(
  program: Program,
  load: Load,
  place: Place,
  command: Command,
  prefix: string[],
): Promise<Sample> {
  const { size, clients, tls } = load;
  const { pid } = program;
  const reader = native(tls ? 'readers-tls' : 'readers');
  const argv = [...prefix, reader, place.out, clients, size, expected(load), IDLE_MS];
  const readers = new Helper(...argv);
  try {
    await until('connected readers', () => readers.says('connected') && isListening(place.out, pid));
    await until('member of the group', () => udpSockets(place.in, pid) >= (command.sockets ?? 1));
    await sleep(SETTLE_MS);
    const before = program.usage();
    const sent = await generate(load, GROUP, place.in, prefix);
    const got = await readers.findings;
    const seconds = Math.max(sent.seconds!, got.seconds!);
    const all = sample(program, before.cpu, load, sent, got.records!, seconds);
    return { ...all, delivered: got.records! / (sent.sent! * clients) };
  } finally {
    readers.kill();
  }
}

async function latency(program: Program, load: Load, place: Place): Promise<Sample> {
  const count = load.rate * load.seconds;
  const probe = new Helper(native('probe'), place.in, place.out, load.size, count, load.rate, WARM_UP);
  const got = await probe.findings;
  const sent = { sent: got.sent!, seconds: got.sent! / load.rate };
  const all = sample(program, 0, load, sent, got.received!, sent.seconds);
  return { ...all, cpu: Number.NaN, p50: got.p50 || Number.NaN, p99: got.p99 || Number.NaN };
}

async function client(command: Command, load: Load, place: Place): Promise<Sample> {
  if (statSync(place.file, { throwIfNoEntry: false })?.size !== load.bytes)
    writeLines(place.file, load.bytes);
  // Mold packets have more bytes than their messages: the counter waits for silence.
  const expected = load.frame === 'mold' ? Number.MAX_SAFE_INTEGER : load.bytes;
  const sink = new Helper(native('count'), HOST, place.out, 0, expected, IDLE_MS);
  const cost = `${place.file}.cost`;
  let program: Program | undefined;
  try {
    await until('counter', () => udpSockets(place.out) > 0);
    program = new Program({ ...command, argv: [native('meter'), cost, ...command.argv] });
    const got = await sink.findings;
    await program.ended;
    const { cpu, rss } = JSON.parse(await readFile(cost, 'utf8'));
    const rate = got.datagrams! / got.seconds!;
    const bytes = load.frame === 'mold' ? messageBytes(got.bytes!, got.datagrams!) : got.bytes!;
    const delivered = bytes / load.bytes;
    const mbps = (bytes * 8) / got.seconds! / 1e6;
    return {
      ...NOTHING,
      offered: rate / delivered,
      delivered,
      rate,
      mbps,
      cpu: cpu / (bytes / 1e9),
      rss: rss * 1024,
    };
  } finally {
    sink.kill();
    await program?.stop();
    rmSync(cost, { force: true });
  }
}

/** Bytes of lines in MoldUDP64 packets, which have a 20-byte header and 2 bytes per message. */
function messageBytes(bytes: number, packets: number): number {
  return ((bytes - 20 * packets) * LINE_BYTES) / (LINE_BYTES + 2);
}

/** @param prefix command prefix that enters a network namespace */
function generate(
  load: Load,
  host: string,
  port: number,
  prefix: string[] = [],
): Promise<Record<string, number>> {
  const count = expected(load) / load.size || Math.min(MAX_DATAGRAMS, Math.floor(MAX_BYTES / load.size));
  const seconds = load.rate ? load.seconds * 2 : load.seconds;
  const how = [host, port, load.size, count, load.rate, seconds, Number(load.segmented)];
  return new Helper(...prefix, native('load'), ...how).findings;
}

/** Bytes of a paced load; 0 for a flood, whose counter waits for silence. */
function expected(load: Load): number {
  return Math.round(load.rate * load.seconds) * load.size;
}

function sample(
  program: Program,
  cpuBefore: number,
  load: Load,
  sent: Record<string, number>,
  arrived: number,
  seconds: number,
): Sample {
  const { cpu, rss, threads } = program.usage();
  const bytes = arrived * load.size;
  return {
    ...NOTHING,
    offered: sent.sent! / sent.seconds!,
    delivered: arrived / sent.sent!,
    rate: arrived / seconds,
    mbps: (bytes * 8) / seconds / 1e6,
    cpu: bytes > 0 ? (cpu - cpuBefore) / (bytes / 1e9) : Number.NaN,
    rss,
    threads,
  };
}

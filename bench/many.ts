import { createSocket, type Socket } from 'node:dgram';
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command, Place } from './contestant.js';
import type { Load } from './loads.js';
import { udpSockets, until } from './ports.js';
import { Program } from './program.js';
import { NOTHING, type Sample } from './sample.js';

/** Single datagrams whose way into the file is timed, and the pause before each. */
const PROBES = 300;
const PAUSE_MS = 2;
const PROBE_TIMEOUT_MS = 1000;

/** The sockets of a server: all have one port, on groups or on addresses of the loopback network. */
export function listenAddresses({ listeners, groups }: Load, place: Place): string[] {
  return hosts(listeners, groups).map((host) => `${host}:${place.in}${groups ? ',interface=lo' : ''}`);
}

function hosts(listeners: number, groups: boolean): string[] {
  const net = groups ? '239.77' : '127.77';
  return Array.from({ length: listeners }, (_, i) => `${net}.${(i >> 7) + 1}.${(i & 127) + 1}`);
}

/** Starts a server with many sockets, and sends to each. */
export async function many(command: Command, load: Load, place: Place): Promise<Sample> {
  const begin = performance.now();
  const program = new Program(command);
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    socket.setMulticastInterface('127.0.0.1');
    socket.setMulticastTTL(1);
    const all = hosts(load.listeners, load.groups);
    const ended = () => !program.alive && `it ended: ${program.lastWords}`;
    await until('open sockets', () => udpSockets(place.in, program.pid) === all.length, ended);
    for (const host of all) await send(socket, load.size, place.in, host);
    const size = () => statSync(place.file, { throwIfNoEntry: false })?.size ?? 0;
    await until('datagram of each', () => size() >= all.length * load.size, ended);
    const seconds = (performance.now() - begin) / 1000;
    const times = await probe(socket, load, place, all, size);
    const sent = all.length + PROBES;
    const delivered = size() / load.size / sent;
    const { rss, threads } = program.usage();
    const at = (part: number) => times[Math.min(times.length - 1, Math.floor(part * times.length))]!;
    return { ...NOTHING, delivered, rss, threads, p50: at(0.5), p99: at(0.99), seconds };
  } finally {
    socket.close();
    await program.stop();
  }
}

/** Sends to one socket after another. @returns the times until the file has each, in microseconds, sorted */
async function probe(
  socket: Socket,
  load: Load,
  place: Place,
  hosts: string[],
  size: () => number,
): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < PROBES; i++) {
    await sleep(PAUSE_MS);
    const before = size();
    const sent = performance.now();
    await send(socket, load.size, place.in, hosts[i % hosts.length]!);
    // Looks without pause: a timer would be the most of what is measured.
    while (size() === before && performance.now() - sent < PROBE_TIMEOUT_MS);
    times.push((performance.now() - sent) * 1000);
  }
  return times.sort((a, b) => a - b);
}

function send(socket: Socket, size: number, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) =>
    socket.send(Buffer.alloc(size, 'x\n'), port, host, (error) => (error ? reject(error) : resolve())),
  );
}

import type { Load } from './loads.js';

/** Where a contestant takes its input and puts its output. */
export interface Place {
  in: number;
  out: number;
  /** What a client reads, or what a server writes. */
  file: string;
}

export interface Command {
  argv: string[];
  stdin?: string;
  stdout?: string;
  /** UDP sockets that it has once all its TCP clients are connected; default 1. */
  sockets?: number;
  /** Whether it, the generator and the readers run in a network namespace where the group's route is the loopback interface. */
  isolated?: boolean;
}

export interface Contestant {
  name: string;
  /** Of the original alone; undefined where it is not known. */
  version?: string;
  kind: 'ours' | 'node' | 'twin' | 'loop' | 'peer';
  /** @returns undefined where it has no part in this work */
  command(load: Load, place: Place): Command | undefined;
}

/** A group of the administratively scoped block (RFC 2365), only ever used on the loopback interface. */
export const GROUP = '239.77.0.1';
/** The name under which the Rust program takes part. */
export const ORIGINAL = 'original (Rust)';

export const HOST = '127.0.0.1';

/** Arguments of mproxy-forward; the original has the same. */
export function fromTo(place: Place): string[] {
  return ['--udp-listen-addr', `${HOST}:${place.in}`, '--udp-downstream-addr', `${HOST}:${place.out}`];
}

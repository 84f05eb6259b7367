import type { Load } from './loads.js';

/** Ports and file of a contestant. */
export interface Place {
  in: number;
  out: number;
  /** Input of a client, output of a server, configuration of a gateway. */
  file: string;
}

export interface Command {
  argv: string[];
  /** Content of `place.file`, which is written before the start. */
  config?: string;
  stdin?: string;
  stdout?: string;
  /** Number of UDP sockets once all TCP clients are connected; default 1. */
  sockets?: number;
  /** Whether it runs with generator and readers in a network namespace that routes the group to loopback. */
  isolated?: boolean;
}

export interface Contestant {
  name: string;
  /** Only of the original; undefined if unknown. */
  version?: string;
  kind: 'ours' | 'node' | 'twin' | 'loop' | 'peer';
  /** @returns undefined if it does not support this load */
  command(load: Load, place: Place): Command | undefined;
}

/** An administratively scoped group (RFC 2365), used only on loopback. */
export const GROUP = '239.77.0.1';
/** Name of the Rust program in the report. */
export const ORIGINAL = 'original (Rust)';

export const HOST = '127.0.0.1';

/** Arguments of mproxy-forward; the original has the same. */
export function fromTo(place: Place): string[] {
  return ['--udp-listen-addr', `${HOST}:${place.in}`, '--udp-downstream-addr', `${HOST}:${place.out}`];
}

import type { ErrorCode, SocketAddress } from 'mproxy-base';
import type { EngineName, ListenAddress } from 'mproxy-net';
import type { GatewayConfig } from './config/types.js';
import type { ClientMemory } from './counters/client-counts.js';

/** What a worker is started with: plain data, and memory that it shares. */
export interface WorkerTask {
  /** From 0; its successor has the same. */
  number: number;
  /** How many there are. */
  workers: number;
  config: GatewayConfig;
  engine: EngineName;
  /** Of its own counters (see Layout). */
  counters: SharedArrayBuffer;
  /** Of the health of all upstreams, which all workers write. */
  health: SharedArrayBuffer;
  /** Of the connections of each client, if they are limited. */
  clients: ClientMemory | undefined;
  /** Given with an engine that shares listeners: who has which descriptor, and how many connections each worker has. */
  shared?: { descriptors: SharedArrayBuffer; loads: Int32Array };
}

/** To a worker. */
export type Order =
  /** A descriptor is shared. */
  | { what: 'listen'; id: number; listener: number; at: ListenAddress }
  /** Accept what waits and no more, and let connections end within this time, in milliseconds. */
  | { what: 'drain'; grace: number }
  /** So many bytes of its log are written. */
  | { what: 'logged'; bytes: number };

/** From a worker. */
export type Report =
  /** It can listen. */
  | { what: 'ready' }
  /** Its stack cannot be built. */
  | { what: 'failed'; error: PlainError }
  | { what: 'listening'; id: number; local?: SocketAddress | undefined; error?: PlainError }
  /** A service threw. */
  | { what: 'service failed'; reason: string }
  /** Records for the access log, whole lines. */
  | { what: 'log'; lines: Uint8Array<ArrayBuffer>; records: number }
  /** It accepts no more. */
  | { what: 'closed' }
  /** All its connections have ended; so many of them were cut. */
  | { what: 'drained'; cut: number };

/** An error with what a structured clone leaves out. */
export interface PlainError {
  message: string;
  /** Of an MproxyError: its own; of the system: ENOENT and its like. */
  code?: ErrorCode | string | undefined;
  errno?: number | undefined;
  syscall?: string | undefined;
}

export function plainError(error: unknown): PlainError {
  const { message = String(error), code, errno, syscall } = error as NodeJS.ErrnoException;
  return { message, code, errno, syscall };
}

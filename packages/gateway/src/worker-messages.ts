import type { ErrorCode, SocketAddress } from 'mproxy-base';
import type { Fields } from 'mproxy-flow/events';
import type { EngineName, ListenAddress, TicketSeed, TlsCredentials, TlsServer } from 'mproxy-net';
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
  /** Of its TLS listeners, and its https upstreams; undefined: it has none. */
  tls: WorkerTls | undefined;
  /** Given with an engine that shares listeners: who has which descriptor, and how many connections each worker has. */
  shared?: { descriptors: SharedArrayBuffer; loads: Int32Array };
}

/** What a worker needs for TLS: files as the main thread has read them. */
export interface WorkerTls {
  /** Undefined: no listener has TLS. */
  server: TlsServer | undefined;
  /** By the number of the route; undefined: it has no https upstream. */
  upstreams: readonly (TlsCredentials | undefined)[];
  /** Of the session tickets that all workers issue and accept. */
  tickets?: TicketSeed;
}

/** To a worker. */
export type Order =
  /** A descriptor is shared. */
  | { what: 'listen'; id: number; listener: number; at: ListenAddress }
  /** Use other certificates for TLS handshakes from now on. */
  | { what: 'secure'; tls: WorkerTls }
  /** Accept what waits and no more, and let connections end within this time, in milliseconds. */
  | { what: 'drain'; grace: number }
  /** So many bytes of its log are written. */
  | { what: 'logged'; bytes: number };

/** What a worker notices: types of events (events.ts). */
export type WorkerEvent =
  | 'service_failed'
  | 'accept_failed'
  | 'upstream_failed'
  | 'handshake_failed'
  | 'reload_failed';

/** From a worker. */
export type Report =
  /** It can listen. */
  | { what: 'ready' }
  /** Its stack cannot be built. */
  | { what: 'failed'; error: PlainError }
  | { what: 'listening'; id: number; local?: SocketAddress | undefined; error?: PlainError }
  /** To be reported to the user, within limits. */
  | { what: 'noticed'; event: WorkerEvent; fields: Fields }
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

import type { Streams, TlsCredentials } from 'mproxy-net';
import { chooseEngine } from 'mproxy-net/engine';
import { lookUp } from 'mproxy-net/resolve';
import { type Deadlines, sharedDeadlines } from '../deadlines.js';
import { CONNECT_MS, type LookUp } from '../tcp-connector.js';
import type { ClientObserver } from './client-observer.js';
import type { PoolLimits } from './client-pool.js';

/** Of one upstream; times in milliseconds. */
export interface UpstreamTimeouts {
  /** Resolving its name and connecting; 504. Default: 5,000. */
  connect: number;
  /** From the end of the request to the response head; 504. Default: 60,000. */
  responseHead: number;
  /** Without a byte of the response body, while its reader takes them; the response is cut. Default: 300,000. */
  responseBody: number;
  /** The same for event streams (`text/event-stream`). Default: 3,600,000. */
  eventStream: number;
  /** Without a byte in either direction, once protocols were switched (101); the connection is cut. Default: 3,600,000. */
  tunnel: number;
}

/** Of one upstream. */
export interface PoolOptions extends PoolLimits {
  /** How long a connection stays idle, in milliseconds, unless the upstream says (Keep-Alive: timeout). Default: 4,000. */
  idle: number;
}

/** Of https upstreams. */
export interface UpstreamTls {
  /** Read for each connection: it may be replaced. */
  readonly credentials: TlsCredentials;
  /** The name that is asked for and verified. Default: the host of the upstream. */
  serverName?: string | undefined;
  /** Accepts any certificate. Default: false. */
  insecure?: boolean | undefined;
}

export interface HttpClientOptions {
  /** `http://HOST[:PORT]`, `https://HOST[:PORT]` or `unix:/absolute/path`, at least one. They are used in turns. */
  upstreams: readonly (string | URL)[];
  /** How https upstreams are secured; needed with one. */
  tls?: UpstreamTls | undefined;
  /** Further tries of a request that may be repeated (RFC 9110, section 9.2.2). Default: 1. */
  retries?: number;
  timeouts?: Partial<UpstreamTimeouts>;
  /** Default: 512 idle ones, 4,096 in all, 1,024 requests that wait. */
  pool?: Partial<PoolOptions>;
  /** What Host is sent: the client's (default), or that of the upstream. */
  hostHeader?: 'client' | 'upstream';
  /** Whether Location and Set-Cookie are mapped back (see forward-back.ts). Default: true. */
  mapsBack?: boolean;
  /**
   * Sends a PROXY header before each request. Then a connection carries one request, as it belongs to one client. Default: none.
   */
  sendProxy?: 'v1' | 'v2' | undefined;
  /** How long a name's addresses are used before it is resolved again, in milliseconds. Default: 10,000. */
  refresh?: number;
  /** The first ejection of an upstream that fails, in milliseconds; each further one is twice as long. Default: 10,000. */
  ejection?: number;
  /** For the health of each upstream, memory that workers share (see HEALTH_CELLS). Default: none is shared. */
  health?: readonly Int32Array[];
  observer?: ClientObserver;
  /** Default: those of the engine that `chooseEngine('auto')` selects. */
  streams?: Streams;
  /** Default: those of this thread. */
  deadlines?: Deadlines;
  /** Default: getaddrinfo(3). */
  lookUp?: LookUp;
}

/** All of them, with defaults. */
export type ClientSettings = Omit<Required<HttpClientOptions>, 'timeouts' | 'pool'> & {
  timeouts: UpstreamTimeouts;
  pool: PoolOptions;
};

export function clientSettings(options: HttpClientOptions): ClientSettings {
  return {
    upstreams: options.upstreams,
    tls: options.tls,
    retries: options.retries ?? 1,
    timeouts: {
      connect: CONNECT_MS,
      responseHead: 60_000,
      responseBody: 300_000,
      eventStream: 3_600_000,
      tunnel: 3_600_000,
      ...options.timeouts,
    },
    pool: { maxIdle: 512, maxConnections: 4096, maxQueue: 1024, idle: 4000, ...options.pool },
    hostHeader: options.hostHeader ?? 'client',
    mapsBack: options.mapsBack ?? true,
    sendProxy: options.sendProxy,
    refresh: options.refresh ?? 10_000,
    ejection: options.ejection ?? 10_000,
    health: options.health ?? [],
    observer: options.observer ?? {},
    streams: options.streams ?? chooseEngine('auto').engine.streams,
    deadlines: options.deadlines ?? sharedDeadlines(),
    lookUp: options.lookUp ?? lookUp,
  };
}

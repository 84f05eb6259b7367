import type { HeadLimits, Rejection } from 'mproxy-http';
import { HEAD_LIMITS } from 'mproxy-http/rejection';
import type { Context } from '../context.js';
import type { Deadlines } from '../deadlines.js';
import type { DateLine } from './date-line.js';
import type { HttpContext, HttpRequest, HttpService } from './message.js';
import type { ParserPool } from './parser-pool.js';
import type { ServerStaging } from './server-staging.js';

/** Limits on requests. */
export interface HttpLimits extends HeadLimits {
  /** Bytes of a request body; more: 413. Default: no limit. */
  readonly body: number;
  /** Bytes of the chunk extensions and trailers of one body together; more: 400. Default: 16 KiB. */
  readonly chunks: number;
}

/** Time-outs of the client side, in milliseconds. One runs only while the client is awaited. */
export interface HttpTimeouts {
  /** From the first byte of a head, or from the start of the connection, until the head is complete. Default: 10,000. */
  readonly head: number;
  /** Of a kept connection, until the next request begins. Default: 75,000. */
  readonly idle: number;
  /** Of a request body, without a byte, until the response begins. Default: 30,000. */
  readonly body: number;
  /** After that time a body needs so many bytes a second on average, until the response begins. Default: 500. */
  readonly bodyRate: number;
  /** In which the client takes nothing of a response. Default: 60,000. */
  readonly send: number;
  /** How long what an ended connection still receives is discarded. Default: 5000. */
  readonly linger: number;
}

export const HTTP_LIMITS: HttpLimits = { ...HEAD_LIMITS, body: Number.POSITIVE_INFINITY, chunks: 16_384 };

export const HTTP_TIMEOUTS: HttpTimeouts = {
  head: 10_000,
  idle: 75_000,
  body: 30_000,
  bodyRate: 500,
  send: 60_000,
  linger: 5000,
};

export interface HttpServerOptions {
  limits?: Partial<HttpLimits>;
  timeouts?: Partial<HttpTimeouts>;
  /** Protocols that a service may switch to (see {@link HttpRequest.upgrade}), in lower case; Upgrade to others is ignored. Default: none. */
  upgrades?: readonly string[];
  /** Default: those of the thread. */
  deadlines?: Deadlines;
  /**
   * Takes what a service threw: its request is answered with 500, or its response is cut. Also told of a body that is longer or shorter
   * than its length. Default: an uncaught exception.
   */
  onError?(error: unknown, context: HttpContext): void;
  /** Told of requests that no service has seen: an invalid one, or a head that took too long. */
  onRejected?(rejection: Rejection, context: Context): void;
}

/** What the connections of a server share. */
export interface ServerParts {
  readonly service: HttpService;
  readonly limits: HttpLimits;
  readonly timeouts: HttpTimeouts;
  readonly upgrades: ReadonlySet<string>;
  readonly deadlines: Deadlines;
  readonly dateLine: DateLine;
  readonly staging: ServerStaging;
  readonly parsers: ParserPool;
  readonly options: HttpServerOptions;
}

import type { Rejection } from 'mproxy-http';
import type { Context } from '../context.js';
import type {
  HttpContext,
  HttpLayer,
  HttpRequest,
  HttpResponse,
  HttpService,
  Outcome,
} from '../http/message.js';
import { Wrapper } from '../http/wrapper.js';
import { combinedLine } from '../log/combined.js';
import { jsonLine } from '../log/json.js';
import type { LogChoice, LogRecord } from '../log/record.js';
import type { Result } from '../result.js';
import { REQUEST_ID } from './request-id.js';

/** Takes the lines of an access log. It never waits: what it cannot take it drops and counts. */
export interface LogSink {
  /** @param line ASCII, without a newline */
  write(line: string): void;
}

export interface AccessLogOptions {
  sink: LogSink;
  /** `json` (default): one object a line; `combined`: that of Apache's and nginx's logs. */
  format?: 'json' | 'combined';
  /** Whether queries are left out, of Referer, too. Default: false. */
  redactQuery?: boolean;
}

const UNREAD: LogRecord = {
  method: '-',
  version: undefined,
  host: '-',
  target: '-',
  referer: undefined,
  userAgent: undefined,
};

/**
 * Writes one line for each request when its response has ended. To be the outermost layer: what others change is logged as it came, and what
 * they answer is logged, too.
 */
export class AccessLog {
  readonly #sink: LogSink;
  readonly #isCombined: boolean;
  readonly #redact: boolean;

  constructor({ sink, format = 'json', redactQuery = false }: AccessLogOptions) {
    this.#sink = sink;
    this.#isCombined = format === 'combined';
    this.#redact = redactQuery;
  }

  readonly layer: HttpLayer = (inner) => new Logged(inner, this);

  /** Writes the record of a request that no service got (see `onRejected` of the HTTP server). */
  readonly rejected = ({ status, reason }: Rejection, { peer }: Context): void => {
    const outcome = { status, received: 0, sent: 0, firstByte: undefined, duration: 0, cut: reason };
    this.#write(
      UNREAD,
      { client: peer?.address, route: undefined, upstream: undefined, retries: 0 },
      undefined,
      outcome,
    );
  };

  /** Writes the record of a request when its response has ended. */
  note(request: HttpRequest, context: HttpContext): void {
    const { method, version, host, path, query, fields } = request;
    const target = this.#redact ? path : path + query;
    const referer = this.#isCombined ? this.#redacted(fields.get('referer')) : undefined;
    const userAgent = this.#isCombined ? fields.get('user-agent') : undefined;
    const record = { method, version, host, target, referer, userAgent };
    context.onDone((outcome) => this.#write(record, context, context.get(REQUEST_ID), outcome));
  }

  #redacted(url: string | undefined): string | undefined {
    return this.#redact ? url?.replace(/[?#].*/s, '') : url;
  }

  #write(record: LogRecord, choice: LogChoice, requestId: string | undefined, outcome: Outcome): void {
    const now = Date.now();
    const line = this.#isCombined
      ? combinedLine(now, record, choice.client, outcome)
      : jsonLine(now, record, choice, requestId, outcome);
    this.#sink.write(line);
  }
}

class Logged extends Wrapper {
  constructor(
    inner: HttpService,
    private readonly log: AccessLog,
  ) {
    super(inner);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    this.log.note(request, context);
    return this.inner.call(request, context);
  }
}

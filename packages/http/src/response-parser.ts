import { CLASS, isEqual, isExactly, SP, text, VALUE } from './bytes.js';
import { parseContentLength } from './field-rules.js';
import { Fields } from './fields.js';
import { HeadFields } from './head-fields.js';
import { HeadReader } from './head-reader.js';
import { HEAD_LIMITS, type HeadLimits, Rejection } from './rejection.js';
import { versionAt } from './request-line.js';
import { DONE, GONE, type HeadScanner, MORE } from './scan-results.js';
import { headScanner } from './scanner.js';
import { STATUS_TEXT } from './status-text.js';

/** The head of a response of HTTP/1.0 or 1.1. */
export interface ResponseHead {
  /** 100 to 599. */
  readonly status: number;
  readonly reason: string;
  readonly version: '1.0' | '1.1';
  /** Without Content-Length, except as an answer to HEAD (unless it is a 204) and of 304, and without the hop-by-hop fields. */
  readonly fields: Fields;
  /** Whether the connection can be used again after this message. */
  readonly keepAlive: boolean;
  /** Seconds that the server keeps the connection while it is idle. */
  readonly keepAliveTimeout: number | undefined;
  /** Bytes of the body: 0 where it has none; undefined: `chunked`, or `closeDelimited`. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  /** The body ends with the connection. */
  readonly closeDelimited: boolean;
  /** Of a 101: the value of Upgrade. */
  readonly upgrade: string | undefined;
  /** Where the body begins. */
  readonly headEnd: number;
}

export interface ResponseParserOptions {
  readonly limits?: HeadLimits;
  /** Default: the one of this thread. */
  readonly scanner?: HeadScanner;
}

interface StatusLine {
  readonly status: number;
  readonly reason: string;
  readonly version: '1.0' | '1.1';
}

/** Bytes of a status line that is remembered. */
const USUAL = 64;
const NO_LINE = new Uint8Array(0);

const reject = (reason: string) => new Rejection(502, reason);
const START = reject('no HTTP response');
const LONG = reject('status line too long');
const STATUS = reject('invalid status line');
const OLD_CODING = reject('Transfer-Encoding in HTTP/1.0');
const INTERIM = reject('interim response with a body');

/** Reads the heads of responses of one connection, one after the other. */
export class ResponseParser {
  readonly #reader: HeadReader;
  readonly #facts = new HeadFields();
  #line: StatusLine | undefined;
  /** The bytes of that line: that of the next response is nearly always the same. */
  #lineBytes: Uint8Array = NO_LINE;

  constructor(options: ResponseParserOptions = {}) {
    this.#reader = new HeadReader(options.scanner ?? headScanner(), options.limits ?? HEAD_LIMITS, true);
  }

  /**
   * Reads a head. While it is incomplete (undefined), it is called again with all of its bytes, those it has seen too.
   * @param bytes borrowed: by the fields of the head too
   * @param method of the request that it answers
   */
  parse(bytes: Uint8Array, start: number, end: number, method: string): ResponseHead | Rejection | undefined {
    const result = this.#read(bytes, start, end, method);
    if (result) this.#reader.reset();
    return result;
  }

  #read(bytes: Uint8Array, start: number, end: number, method: string): ResponseHead | Rejection | undefined {
    const reader = this.#reader;
    if (reader.resume(start)) {
      if (start >= end) return undefined;
      if (bytes[start] !== 0x48) return START;
    }
    if (!reader.hasStartLine) {
      const result = this.#readLine(bytes, end);
      if (result !== DONE) return result;
    }
    const result = reader.fieldLines(bytes, end);
    if (result === MORE) return undefined;
    return result === DONE ? this.#head(bytes, this.#line!, method) : reject(result.reason);
  }

  #readLine(bytes: Uint8Array, end: number): Rejection | undefined | typeof DONE {
    const reader = this.#reader;
    const lf = reader.lineEnd(bytes, end);
    if (reader.lineTooLong(lf < 0 ? end : lf + 1)) return LONG;
    if (lf < 0) return undefined;
    if (!isEqual(bytes, reader.at, lf, this.#lineBytes)) {
      const line = parseStatusLine(bytes, reader.at, lf);
      if (line instanceof Rejection) return line;
      this.#line = line;
      // A slice of a Buffer would be a view of memory that is received into again.
      this.#lineBytes = lf - reader.at <= USUAL ? new Uint8Array(bytes.subarray(reader.at, lf)) : NO_LINE;
    }
    reader.startLineRead(lf + 1);
    return DONE;
  }

  #head(
    bytes: Uint8Array,
    { status, reason, version }: StatusLine,
    method: string,
  ): ResponseHead | Rejection {
    const { rows, known, at } = this.#reader;
    const facts = this.#facts;
    const describesOther = method === 'HEAD' || status === 304;
    // Neither an interim response nor a 204 describes one (RFC 9110, section 8.6).
    const failed = facts.read(bytes, rows, known, describesOther && status >= 200 && status !== 204);
    if (failed) return reject(failed.reason);
    const isOld = version === '1.0';
    if (isOld && facts.chunked) return OLD_CODING;
    const isFramed = facts.chunked || (facts.contentLength ?? 0) > 0;
    if (status < 200 && isFramed) return INTERIM;
    const isEmpty = status < 200 || status === 204 || describesOther;
    const isTunnel = status === 101 || (method === 'CONNECT' && status < 300 && status >= 200);
    const isDelimited = facts.chunked || facts.contentLength !== undefined;
    const closeDelimited = !isEmpty && !isTunnel && !isDelimited;
    // What frames a 204 is not there, but the server may think it is.
    const isDoubtful = (status === 204 || isTunnel) && isFramed;
    const fields = new Fields(bytes, rows, facts.known);
    for (const row of this.#reader.spaced) if (rows[row] !== GONE) fields.respell(row);
    return {
      status,
      reason,
      version,
      fields,
      keepAlive: !facts.close && (!isOld || facts.keepAlive) && !closeDelimited && !isDoubtful,
      keepAliveTimeout: facts.timeout,
      contentLength: isEmpty || isTunnel ? 0 : facts.contentLength,
      chunked: facts.chunked && !isEmpty && !isTunnel,
      closeDelimited,
      upgrade: status === 101 && facts.namesUpgrade ? facts.upgrade : undefined,
      headEnd: at,
    };
  }
}

/** Reads one head: a rejection, or undefined while it is incomplete. */
export function parseResponseHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  method: string,
  limits: HeadLimits = HEAD_LIMITS,
): ResponseHead | Rejection | undefined {
  return new ResponseParser({ limits }).parse(bytes, start, end, method);
}

/** Reads a status line (RFC 9112, section 4). Without a reason the space before it may be missing, as with many servers. */
function parseStatusLine(bytes: Uint8Array, start: number, lf: number): StatusLine | Rejection {
  const minor = versionAt(bytes, start);
  if (minor instanceof Rejection || bytes[start + 8] !== SP || bytes[lf - 1] !== 13) return STATUS;
  const status = parseContentLength(bytes, start + 9, start + 12);
  if (status === undefined || status < 100 || status > 599) return STATUS;
  let at = start + 12;
  if (at < lf - 1 && bytes[at++] !== SP) return STATUS;
  const usual = STATUS_TEXT[status] ?? '';
  const version = minor === 0 ? '1.0' : '1.1';
  if (isExactly(bytes, at, lf - 1, usual)) return { status, reason: usual, version };
  const reasonStart = at;
  while ((CLASS[bytes[at]!]! & VALUE) !== 0) at++;
  return at === lf - 1 ? { status, reason: text(bytes, reasonStart, at), version } : STATUS;
}

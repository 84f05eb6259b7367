import { parseAuthority } from './authority.js';
import { CLASS, CR, isExactly, LF, TOKEN, text } from './bytes.js';
import { Fields } from './fields.js';
import { HeadFields } from './head-fields.js';
import { HeadReader } from './head-reader.js';
import { HEAD_LIMITS, type HeadLimits, Rejection } from './rejection.js';
import { cachedRequestLine, type RequestLine } from './request-line.js';
import { DONE, type HeadScanner, MORE } from './scan-results.js';
import { headScanner } from './scanner.js';
import type { TargetForm } from './target.js';

/** The head of a request of HTTP/1.0 or 1.1. */
export interface RequestHead {
  readonly method: string;
  readonly version: '1.0' | '1.1';
  readonly form: TargetForm;
  /** Of an absolute-form target, which says nothing of the connection; undefined: another form. */
  readonly scheme: 'http' | 'https' | undefined;
  /** The authority of the target, else the value of Host; '': neither is there (HTTP/1.0). */
  readonly authority: string;
  /** Its host: lower case, no port, no trailing dot; IPv6 addresses in brackets. */
  readonly host: string;
  /** Normal (see normalPath), or `*`; '' in the authority form. */
  readonly path: string;
  /** With its `?`; '': none. */
  readonly query: string;
  /** Without Host, Content-Length and the hop-by-hop fields; `te: trailers` is kept. */
  readonly fields: Fields;
  /** Whether the client goes on with this connection. */
  readonly keepAlive: boolean;
  /** Undefined with `chunked` false: no body. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  readonly expectsContinue: boolean;
  /** The value of Upgrade, if Connection names it. */
  readonly upgrade: string | undefined;
  /** Where the body begins. */
  readonly headEnd: number;
}

export interface RequestParserOptions {
  readonly limits?: HeadLimits;
  /** Whether CONNECT is served; else it is rejected, as TRACE always is. Default: false. */
  readonly connect?: boolean;
  /** Default: the one of this thread. */
  readonly scanner?: HeadScanner;
}

const START = new Rejection(400, 'no HTTP request');
const NO_HOST = new Rejection(400, 'no Host');
const HOST = new Rejection(400, 'invalid Host');
const OLD_CODING = new Rejection(400, 'Transfer-Encoding in HTTP/1.0');
const ALLOWED = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
const METHOD = new Rejection(405, 'method not allowed', ALLOWED);

/** Reads the heads of requests of one connection, one after the other. */
export class RequestParser {
  readonly #reader: HeadReader;
  readonly #connects: boolean;
  readonly #facts = new HeadFields();
  #line: RequestLine | undefined;
  /** Where that line begins, if the whole head came at once. */
  #lineStart = -1;
  /** The last Host: the next one is the same. */
  #authority = '';
  #host = '';

  constructor(options: RequestParserOptions = {}) {
    this.#reader = new HeadReader(options.scanner ?? headScanner(), options.limits ?? HEAD_LIMITS);
    this.#connects = options.connect ?? false;
  }

  /**
   * Reads a head. While it is incomplete (undefined), it is called again with all of its bytes, those it has seen too.
   * @param bytes borrowed: by the fields of the head too
   * @param start of the head, or of an empty line before it, which is ignored
   */
  parse(bytes: Uint8Array, start: number, end: number): RequestHead | Rejection | undefined {
    const result = this.#read(bytes, start, end);
    if (result) this.#reader.reset();
    return result;
  }

  #read(bytes: Uint8Array, start: number, end: number): RequestHead | Rejection | undefined {
    const reader = this.#reader;
    if (reader.resume(start)) {
      if (start >= end) return undefined;
      const first = bytes[start]!;
      if (first === CR) {
        if (start + 1 >= end) return undefined;
        if (bytes[start + 1] !== LF) return START;
        reader.at += 2;
      } else if ((CLASS[first]! & TOKEN) === 0) return START;
      this.#lineStart = reader.at;
    } else this.#lineStart = -1;
    if (!reader.hasStartLine) {
      const result = this.#readLine(bytes, end);
      if (result !== DONE) return result;
    }
    const result = reader.fieldLines(bytes, end);
    if (result === MORE) return undefined;
    return result === DONE ? this.#head(bytes, this.#line!) : result;
  }

  #readLine(bytes: Uint8Array, end: number): Rejection | undefined | typeof DONE {
    const reader = this.#reader;
    const lf = reader.lineEnd(bytes, end);
    const tooLong = reader.lineTooLong(lf < 0 ? end : lf + 1);
    if (tooLong || lf < 0) return tooLong;
    const line = cachedRequestLine(bytes, reader.at, lf);
    if (line instanceof Rejection) return line;
    this.#line = line;
    reader.startLineRead(lf + 1);
    return DONE;
  }

  #head(bytes: Uint8Array, line: RequestLine): RequestHead | Rejection {
    const { rows, known, at } = this.#reader;
    const { method, version, target } = line;
    const facts = this.#facts;
    const failed = facts.read(bytes, rows, known, false);
    if (failed) return failed;
    const isOld = version === '1.0';
    if (isOld && facts.chunked) return OLD_CODING;
    if (facts.host < 0 && !isOld) return NO_HOST;
    if (facts.host >= 0 && !this.#readHost(bytes, rows[facts.host + 2]!, rows[facts.host + 3]!)) return HOST;
    if (method === 'TRACE' || (method === 'CONNECT' && !this.#connects)) return METHOD;
    const fields = new Fields(bytes, rows, facts.known);
    if (facts.host === 0 && line.isPlain && this.#lineStart >= 0)
      fields.setStart(this.#lineStart, rows[3]!, line, this.#authority);
    if (facts.takesTrailers) fields.append('te', 'trailers');
    const hasHost = facts.host >= 0;
    return {
      method,
      version,
      form: target.form,
      scheme: target.scheme,
      authority: target.authority ?? (hasHost ? this.#authority : ''),
      host: target.host ?? (hasHost ? this.#host : ''),
      path: target.path,
      query: target.query,
      fields,
      keepAlive: !facts.close && (!isOld || facts.keepAlive),
      contentLength: facts.contentLength,
      chunked: facts.chunked,
      expectsContinue: facts.expectsContinue && !isOld,
      upgrade: facts.namesUpgrade && !isOld ? facts.upgrade : undefined,
      headEnd: at,
    };
  }

  #readHost(bytes: Uint8Array, start: number, end: number): boolean {
    if (start < end && isExactly(bytes, start, end, this.#authority)) return true;
    const value = text(bytes, start, end);
    const parsed = parseAuthority(value);
    if (!parsed) return false;
    this.#authority = value;
    this.#host = parsed.host;
    return true;
  }
}

/** Reads one head: a rejection, or undefined while it is incomplete. */
export function parseRequestHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: HeadLimits = HEAD_LIMITS,
): RequestHead | Rejection | undefined {
  return new RequestParser({ limits }).parse(bytes, start, end);
}

import { isText, text } from './bytes.js';
import { parseContentLength, parseTokens, parseTransferEncoding } from './field-rules.js';
import { HOP_BY_HOP, KNOWN, MISSPELT } from './known-names.js';
import { Rejection } from './rejection.js';
import { GONE, ROW } from './scan-results.js';

/** To CGI and its like they frame the message. */
const MISSPELT_LENGTH = KNOWN['content-length'] + MISSPELT;
const MISSPELT_CODING = KNOWN['transfer-encoding'] + MISSPELT;

const reject = (reason: string) => new Rejection(400, reason);
const LENGTH = reject('invalid Content-Length');
const LENGTHS = reject('more than one Content-Length');
const CODING = reject('invalid Transfer-Encoding');
const CODINGS = reject('more than one Transfer-Encoding');
const BOTH = reject('Content-Length and Transfer-Encoding');
const UNSUPPORTED = new Rejection(501, 'unsupported transfer coding');
const OPTION = reject('invalid Connection');
const NAMES_FRAMING = reject('Connection names Host or Content-Length');
const MISSPELT_FRAMING = reject('Content-Length or Transfer-Encoding spelt with `_`');
const HOSTS = reject('more than one Host');

/** Options that are no names of fields, or whose field is hop-by-hop anyway. */
const OPTIONS = new Set(['close', 'keep-alive', 'upgrade', 'te', 'transfer-encoding', 'proxy-connection']);

/** What the fields of a head say of its connection and its framing. One object serves many heads. */
export class HeadFields {
  /** A bit for each known name in the rows that are left. */
  known = 0;
  /** The row of Host; -1: there is none. */
  host = -1;
  contentLength: number | undefined;
  chunked = false;
  close = false;
  keepAlive = false;
  /** Connection names Upgrade. */
  namesUpgrade = false;
  upgrade: string | undefined;
  expectsContinue = false;
  /** TE has `trailers`. */
  takesTrailers = false;
  /** The seconds of Keep-Alive: timeout. */
  timeout: number | undefined;
  #options: Set<string> | undefined;

  /**
   * Reads the rows, and marks as {@link GONE} those that are no part of {@link Fields}.
   * @param known the bits of the names in them
   * @param keepsLength Content-Length stays: it describes a body that does not come
   */
  read(bytes: Uint8Array, rows: number[], known: number, keepsLength: boolean): Rejection | undefined {
    this.#clear();
    this.known = known & ~HOP_BY_HOP;
    if ((known & HOP_BY_HOP) === 0) return undefined;
    let lengths = 0;
    let codings = 0;
    for (let row = 0; row < rows.length; row += ROW) {
      const id = rows[row + 4]!;
      if (id === 0 || id > KNOWN.expect) {
        if (id === MISSPELT_LENGTH || id === MISSPELT_CODING) return MISSPELT_FRAMING;
        if (id > MISSPELT) this.known |= 1 << (id & 31);
        continue;
      }
      const start = rows[row + 2]!;
      const end = rows[row + 3]!;
      let failed: Rejection | undefined;
      switch (id) {
        case KNOWN.host:
          if (this.host >= 0) return HOSTS;
          this.host = row;
          break;
        case KNOWN.connection:
          failed = this.#connection(bytes, start, end);
          break;
        case KNOWN['keep-alive']:
          this.timeout = readTimeout(text(bytes, start, end));
          break;
        case KNOWN.te:
          this.takesTrailers ||= /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(text(bytes, start, end));
          break;
        case KNOWN['transfer-encoding']:
          failed = codings++ > 0 ? CODINGS : this.#coding(text(bytes, start, end));
          break;
        case KNOWN.upgrade: {
          const value = text(bytes, start, end);
          this.upgrade = this.upgrade === undefined ? value : `${this.upgrade}, ${value}`;
          break;
        }
        case KNOWN['content-length']:
          if (lengths++ > 0) return LENGTHS;
          this.contentLength = parseContentLength(bytes, start, end);
          if (this.contentLength === undefined) return LENGTH;
          if (!keepsLength) break;
          this.known |= 1 << id;
          continue;
        case KNOWN.expect:
          this.expectsContinue ||= text(bytes, start, end).toLowerCase() === '100-continue';
          this.known |= 1 << id;
          continue;
      }
      if (failed) return failed;
      rows[row] = GONE;
    }
    if (codings > 0 && lengths > 0) return BOTH;
    if (this.#options) this.#removeNamed(bytes, rows, this.#options);
    return undefined;
  }

  #clear(): void {
    this.host = -1;
    this.contentLength = undefined;
    this.chunked = false;
    this.close = false;
    this.keepAlive = false;
    this.namesUpgrade = false;
    this.upgrade = undefined;
    this.expectsContinue = false;
    this.takesTrailers = false;
    this.timeout = undefined;
    this.#options = undefined;
  }

  #connection(bytes: Uint8Array, start: number, end: number): Rejection | undefined {
    if (isText(bytes, start, end, 'keep-alive')) {
      this.keepAlive = true;
      return undefined;
    }
    if (isText(bytes, start, end, 'close')) {
      this.close = true;
      return undefined;
    }
    const tokens = parseTokens(text(bytes, start, end));
    if (!tokens) return OPTION;
    for (const token of tokens) {
      if (token === 'close') this.close = true;
      else if (token === 'keep-alive') this.keepAlive = true;
      else if (token === 'upgrade') this.namesUpgrade = true;
      else if (token === 'host' || token === 'content-length') return NAMES_FRAMING;
      else if (!OPTIONS.has(token)) {
        this.#options ??= new Set();
        this.#options.add(token);
      }
    }
    return undefined;
  }

  #coding(value: string): Rejection | undefined {
    const coding = parseTransferEncoding(value);
    if (coding === 'chunked') this.chunked = true;
    else return coding === 'invalid' ? CODING : UNSUPPORTED;
    return undefined;
  }

  #removeNamed(bytes: Uint8Array, rows: number[], options: Set<string>): void {
    for (let row = 0; row < rows.length; row += ROW)
      if (rows[row] !== GONE && options.has(text(bytes, rows[row]!, rows[row + 1]!).toLowerCase()))
        rows[row] = GONE;
  }
}

/** The seconds of `timeout=N` in Keep-Alive (RFC 2068, section 19.7.1.1). */
function readTimeout(value: string): number | undefined {
  const seconds = /(?:^|[\s,])timeout=(\d{1,9})/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

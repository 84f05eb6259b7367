import { writeBytes, writeEnd, writeText } from './bytes.js';
import type { Fields } from './fields.js';
import { STATUS_TEXT } from './status-text.js';

/** How a body is framed: its length, `chunked`, or undefined: there is none, or it ends with the connection. */
export type Framing = number | 'chunked' | undefined;

/** The most bytes of a head besides method, path, query, authority, fields and the value of Connection. */
const REST = 128;

/**
 * Writes the head of a request of HTTP/1.1, with Host first and what frames its body last.
 * @param connection the value of Connection; undefined: none, which keeps it
 * @returns the offset behind it; -1: it does not fit
 */
export function writeRequestHead(
  target: Uint8Array,
  from: number,
  method: string,
  path: string,
  query: string,
  authority: string,
  fields: Fields,
  framing: Framing,
  connection?: string,
): number {
  const strings = method.length + path.length + query.length + authority.length + (connection?.length ?? 0);
  if (from + strings + fields.size + REST > target.length) return -1;
  if (fields.hasStart(method, path, query, authority))
    return writeLast(target, fields.writeWithStart(target, from), framing, connection);
  let at = writeText(target, from, method);
  target[at++] = 0x20;
  at = writeText(target, writeText(target, at, path), query);
  at = writeBytes(target, at, REQUEST_END);
  at = writeEnd(target, writeText(target, at, authority));
  return writeLast(target, fields.write(target, at), framing, connection);
}

/**
 * Writes the head of a response of HTTP/1.1, with what frames its body last.
 * @param date the line `Date: ...` with its CRLF; undefined: none, or it is among the fields
 * @param connection the value of Connection; undefined: none
 * @returns the offset behind it; -1: it does not fit
 */
export function writeResponseHead(
  target: Uint8Array,
  from: number,
  status: number,
  fields: Fields,
  framing: Framing,
  date: Uint8Array | undefined,
  connection?: string,
): number {
  const more = (date?.length ?? 0) + (connection?.length ?? 0);
  if (from + fields.size + more + REST > target.length) return -1;
  let at = writeBytes(target, from, statusLine(status));
  at = fields.write(target, at);
  if (date) at = writeBytes(target, at, date);
  return writeLast(target, at, framing, connection);
}

function writeLast(
  target: Uint8Array,
  from: number,
  framing: Framing,
  connection: string | undefined,
): number {
  let at = from;
  if (framing === 'chunked') at = writeBytes(target, at, CHUNKED);
  else if (framing !== undefined) {
    at = writeBytes(target, at, LENGTH);
    at = writeEnd(target, writeText(target, at, String(framing)));
  }
  if (connection !== undefined) {
    at = writeBytes(target, at, CONNECTION);
    at = writeEnd(target, writeText(target, at, connection));
  }
  return writeEnd(target, at);
}

const bytes = (string: string): Uint8Array => Buffer.from(string, 'latin1');
const REQUEST_END = bytes(' HTTP/1.1\r\nHost: ');
const CHUNKED = bytes('Transfer-Encoding: chunked\r\n');
const LENGTH = bytes('Content-Length: ');
const CONNECTION = bytes('Connection: ');

const STATUS_LINES: (Uint8Array | undefined)[] = [];

/** The status line with its CRLF. */
function statusLine(status: number): Uint8Array {
  STATUS_LINES[status] ??= bytes(`HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? ''}\r\n`);
  return STATUS_LINES[status];
}

import type { Outcome } from '../http/message.js';
import { type LogChoice, type LogRecord, protocol } from './record.js';

/**
 * A line of JSON. Keys without a value are left out. Times are milliseconds, except `time`, when the response ended; sizes are bytes of
 * bodies.
 * @param now milliseconds since 1970
 */
export function jsonLine(
  now: number,
  { method, version, host, target }: LogRecord,
  { client, route, upstream, retries }: LogChoice,
  requestId: string | undefined,
  { status, received, sent, duration, firstByte, cut }: Outcome,
): string {
  let line = `{"time":"${isoTime(now)}","client":"${client ?? 'unix:'}","method":"${quoted(method)}","host":"${quoted(host)}","path":"${quoted(target)}","protocol":"${protocol(version)}","status":${status},"received":${received},"sent":${sent},"duration":${rounded(duration)}`;
  if (firstByte !== undefined) line += `,"first_byte":${rounded(firstByte)}`;
  if (route !== undefined) line += `,"route":"${quoted(route)}"`;
  if (upstream !== undefined) line += `,"upstream":"${quoted(upstream)}"`;
  if (retries > 0) line += `,"retries":${retries}`;
  if (requestId !== undefined) line += `,"request_id":"${quoted(requestId)}"`;
  if (cut !== undefined) line += `,"cut":"${quoted(cut)}"`;
  return `${line}}`;
}

const UNSAFE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/g;

/** The content of a JSON string in ASCII: control characters, quotes, backslashes and all others beyond 0x7E are escaped. */
function quoted(text: string): string {
  return text.search(UNSAFE) < 0 ? text : text.replace(UNSAFE, escaped);
}

function escaped(char: string): string {
  if (char === '"' || char === '\\') return `\\${char}`;
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** To a microsecond. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

let second = Number.NaN;
let secondText = '';

/** `2026-11-27T10:33:26.004Z` */
function isoTime(now: number): string {
  const current = Math.floor(now / 1000);
  if (current !== second) {
    second = current;
    secondText = new Date(current * 1000).toISOString().slice(0, 20);
  }
  const ms = now % 1000;
  return `${secondText}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`;
}

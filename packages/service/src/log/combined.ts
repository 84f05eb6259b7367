import type { Outcome } from '../http/message.js';
import { type LogRecord, protocol } from './record.js';

/**
 * A line of the combined log format, as nginx writes it: bytes beyond 0x20 to 0x7E, quotes and backslashes are `\xHH`.
 * @param now milliseconds since 1970, when the response ended
 * @param client undefined: a Unix socket
 */
export function combinedLine(
  now: number,
  { method, version, target, referer, userAgent }: LogRecord,
  client: string | undefined,
  { status, sent }: Outcome,
): string {
  return `${client ?? 'unix:'} - - [${logTime(now)}] "${escaped(method)} ${escaped(target)} ${protocol(version)}" ${status} ${sent} "${escaped(referer)}" "${escaped(userAgent)}"`;
}

const UNSAFE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/g;

function escaped(text = '-'): string {
  if (text.search(UNSAFE) < 0) return text;
  return text.replace(
    UNSAFE,
    (char) => `\\x${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
let second = Number.NaN;
let secondText = '';

/** `27/Nov/2026:10:33:26 +0000` */
function logTime(now: number): string {
  const current = Math.floor(now / 1000);
  if (current === second) return secondText;
  second = current;
  const iso = new Date(current * 1000).toISOString();
  const [year, month, day] = iso.slice(0, 10).split('-');
  secondText = `${day}/${MONTHS[Number(month) - 1]}/${year}:${iso.slice(11, 19)} +0000`;
  return secondText;
}

import { randomUUID } from 'node:crypto';
import type { Part } from './file-body.js';
import type { Range } from './ranges.js';

/** Several ranges as the body of one response (RFC 9110, section 14.6). */
export function multipart(
  ranges: readonly Range[],
  size: number,
  type: string,
): { type: string; parts: Part[] } {
  const boundary = randomUUID();
  const parts: Part[] = [];
  for (const [i, range] of ranges.entries()) {
    const head = `${i === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`;
    parts.push(Buffer.from(head), range);
  }
  parts.push(Buffer.from(`\r\n--${boundary}--\r\n`));
  return { type: `multipart/byteranges; boundary=${boundary}`, parts };
}

/** `bytes 0-99/1000` */
export function contentRange({ start, end }: Range, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`;
}

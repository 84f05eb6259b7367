import { writeEnd } from './bytes.js';
import type { Fields } from './fields.js';

export const CRLF: Uint8Array = Buffer.from('\r\n');
/** The end of a body without trailers. */
export const LAST_CHUNK: Uint8Array = Buffer.from('0\r\n\r\n');

/** The most bytes of {@link writeChunkHeader}. */
export const CHUNK_HEADER = 16;

/** Writes the line before the data of a chunk; behind the data comes {@link CRLF}. @returns the offset behind it */
export function writeChunkHeader(target: Uint8Array, at: number, length: number): number {
  const digits = length.toString(16);
  for (let i = 0; i < digits.length; i++) target[at + i] = digits.charCodeAt(i);
  return writeEnd(target, at + digits.length);
}

/** The line before the data of a chunk. @param length at least 1 */
export function chunkHeader(length: number): Buffer {
  return Buffer.from(`${length.toString(16)}\r\n`, 'latin1');
}

/** The end of a body. */
export function lastChunk(trailers?: Fields): Uint8Array {
  if (!trailers) return LAST_CHUNK;
  const bytes = Buffer.allocUnsafe(trailers.size + 5);
  bytes.write('0\r\n', 'latin1');
  return bytes.subarray(0, writeEnd(bytes, trailers.write(bytes, 3)));
}

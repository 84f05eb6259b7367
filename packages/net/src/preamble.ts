import type { Preamble, PreambleOptions } from './streams.js';

/**
 * Looks for a preamble in what a connection begins with.
 * @param read so many bytes were not enough before
 * @returns undefined: more bytes are needed; an error: it is none
 * @throws if the parser names a length that cannot be
 */
export function findPreamble(
  { most, parse }: PreambleOptions,
  bytes: Buffer,
  read: number,
): Preamble | Error | undefined {
  const found = parse(bytes.subarray(0, most));
  if (found === 'invalid' || (found === 'incomplete' && bytes.length >= most)) return noPreamble(bytes);
  if (found === 'incomplete') return undefined;
  const { length } = found;
  if (!Number.isInteger(length) || length < read || length > bytes.length)
    throw new RangeError(`a preamble of ${length} bytes, of ${bytes.length} that came after ${read}`);
  return found;
}

/** A connection does not begin as it should (see PreambleOptions). @param bytes what it begins with */
export function noPreamble(bytes: Buffer): Error {
  const shown = JSON.stringify(bytes.toString('latin1', 0, 16));
  return Object.assign(new Error(`the connection begins with ${shown}: no preamble, or not all of it`), {
    code: 'EPROTO',
  });
}

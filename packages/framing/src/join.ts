import { Batch } from './batch.js';
import { endsEveryDatagram, type Frame } from './frame.js';
import { octetCount } from './octet-counted.js';

/** What {@link toStream} adds: this very buffer, so that it can be told from a datagram of one newline. */
export const ADDED_NEWLINE = Buffer.from('\n');

/** Takes bytes of a stream, in which so many datagrams end; of these lengths, where they are listed. */
export type Take = (
  slab: Buffer,
  offset: number,
  length: number,
  datagrams: number,
  sizes?: Uint16Array,
) => void;

/** Bytes at most of a piece that has more than one datagram. */
export const PIECE = 65_536;

/**
 * A batch as a frame has its datagrams in a stream, where that is more than a newline after each: with `octet-counted`
 * each has its count before it, in memory of their own.
 */
export function encoded(batch: Batch, frame: Frame): Batch {
  if (frame !== 'octet-counted') return batch;
  const parts: Buffer[] = [];
  batch.each((offset, length) => {
    if (length > 0) parts.push(Buffer.from(octetCount(length)), batch.slab.subarray(offset, offset + length));
  });
  const sizes = new Uint16Array(parts.length / 2);
  for (let i = 0; i < sizes.length; i++) sizes[i] = parts[2 * i]!.length + parts[2 * i + 1]!.length;
  const result = new Batch();
  const bytes = Buffer.concat(parts);
  result.reset(bytes);
  result.setSized(0, bytes.length, sizes, sizes.length);
  return result;
}

/** Joins a batch, {@link encoded}, into a stream by a frame's rule, piece by piece; an empty datagram is nothing to a stream. */
export function toStream(batch: Batch, frame: Frame, take: Take, most = PIECE): void {
  if (endsEveryDatagram(frame)) lineByLine(batch, take);
  else if (batch.sizes) pieces(batch, batch.sizes, take, most);
  else joined(batch, take, most);
}

/** Each datagram with its newline. */
function lineByLine(batch: Batch, take: Take): void {
  const { slab } = batch;
  batch.each((offset, length) => {
    if (length === 0) return;
    take(slab, offset, length, 1);
    if (slab[offset + length - 1] !== ADDED_NEWLINE[0]) take(ADDED_NEWLINE, 0, 1, 0);
  });
}

/** Datagrams that lie one behind the other, as short messages do, are one piece. */
function joined(batch: Batch, take: Take, most: number): void {
  let start = 0;
  let end = 0;
  let datagrams = 0;
  const pass = () => {
    if (end > start) take(batch.slab, start, end - start, datagrams);
  };
  batch.each((offset, length) => {
    if (length === 0) return;
    if (offset !== end || end + length - start > most) {
      pass();
      start = end = offset;
      datagrams = 0;
    }
    end += length;
    datagrams++;
  });
  pass();
}

/** The same for datagrams of which the lengths are listed: that is all that is looked at. */
function pieces({ slab, offset, sized, bytes }: Batch, sizes: Uint16Array, take: Take, most: number): void {
  let start = offset[0]!;
  if (bytes <= most && bytes > 0) {
    take(slab, start, bytes, sized, sizes.subarray(0, sized));
    return;
  }
  let end = start;
  let from = 0;
  for (let i = 0; i < sized; i++) {
    const next = end + sizes[i]!;
    if (next - start > most && end > start) {
      take(slab, start, end - start, i - from, sizes.subarray(from, i));
      start = end;
      from = i;
    }
    end = next;
  }
  if (end > start) take(slab, start, end - start, sized - from, sizes.subarray(from, sized));
}

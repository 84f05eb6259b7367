import { Batch, type Sizes } from './batch.js';
import { endsEveryDatagram, type Frame } from './frame.js';
import { octetCount } from './octet-counted.js';

/** The newline that {@link toStream} adds. Identity distinguishes it from a datagram of one newline. */
export const ADDED_NEWLINE = Buffer.from('\n');

/** Takes bytes of a stream in which `datagrams` datagrams end, with their lengths if they are listed. */
export type Take = (slab: Buffer, offset: number, length: number, datagrams: number, sizes?: Sizes) => void;

/** Maximum bytes of a piece with more than one datagram. */
export const PIECE = 65_536;

/** Encodes a batch for a stream: with `octet-counted`, a copy in which a count precedes each datagram. */
export function encoded(batch: Batch, frame: Frame): Batch {
  if (frame !== 'octet-counted') return batch;
  const parts: Buffer[] = [];
  batch.each((offset, length) => {
    if (length > 0) parts.push(Buffer.from(octetCount(length)), batch.slab.subarray(offset, offset + length));
  });
  const sizes = new (batch.large ? Uint32Array : Uint16Array)(parts.length / 2);
  for (let i = 0; i < sizes.length; i++) sizes[i] = parts[2 * i]!.length + parts[2 * i + 1]!.length;
  const result = new Batch();
  const bytes = Buffer.concat(parts);
  result.reset(bytes);
  result.setSized(0, bytes.length, sizes, sizes.length);
  return result;
}

/** Joins an {@link encoded} batch into a stream by a frame's rule, in pieces; skips empty datagrams. */
export function toStream(batch: Batch, frame: Frame, take: Take, most = PIECE): void {
  // Pieces of a stream have the newlines that they need.
  if (endsEveryDatagram(frame) && !batch.lines) joinLines(batch, take);
  else if (batch.sizes) pieces(batch, batch.sizes, take, most);
  else joinContiguous(batch, take, most);
}

/** Joins datagrams, each with its newline. */
function joinLines(batch: Batch, take: Take): void {
  const { slab } = batch;
  batch.each((offset, length) => {
    if (length === 0) return;
    take(slab, offset, length, 1);
    if (slab[offset + length - 1] !== ADDED_NEWLINE[0]) take(ADDED_NEWLINE, 0, 1, 0);
  });
}

/** Joins contiguous datagrams, such as short messages, into one piece. */
function joinContiguous(batch: Batch, take: Take, most: number): void {
  let start = 0;
  let end = 0;
  let datagrams = 0;
  const emit = () => {
    if (end > start) take(batch.slab, start, end - start, datagrams);
  };
  batch.each((offset, length) => {
    if (length === 0) return;
    if (offset !== end || end + length - start > most) {
      emit();
      start = end = offset;
      datagrams = 0;
    }
    end += length;
    datagrams++;
  });
  emit();
}

/** The same for a batch with listed lengths, without a look at the bytes. */
function pieces({ slab, offset, sized, bytes }: Batch, sizes: Sizes, take: Take, most: number): void {
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

import { endsEveryDatagram, type Frame, octetCount } from 'mproxy-framing';
import { Batch, type HandedOver, type ThreadSinks } from 'mproxy-udp';
import type { SinkCounts } from './counts.js';

/** Where a route's datagrams go. Every kind of sink is one file behind this contract. */
export interface Sink {
  /** What the user calls it: the address as typed, the file, `stdout`. */
  readonly name: string;
  readonly counts: SinkCounts;
  /** Why it drops datagrams, when it does, and what would help. */
  readonly dropReason: string;
  /** What would have spared errors of a name (`ENETUNREACH`, ...). */
  errorAdvice?(code: string): string | undefined;
  /** Resolves when its reader is gone for good; a route ends when that is so of all its sinks. */
  readonly ended?: Promise<void>;
  /** How the thread of a receiver writes to it itself; undefined where it lives on the event loop. */
  inThread?(): Partial<ThreadSinks> | undefined;
  /** Takes a batch, never throws and never blocks on a peer. The batch is lent for the call. */
  write(batch: Batch): void;
  /** A burst is over: what was gathered goes out now. */
  flush(): void;
  /** Undefined while it can take more; else resolves when it can. A source that cannot wait need not ask. */
  room(): Promise<void> | undefined;
  /** The program was asked to stop: whoever waits for room goes on, and closing waits for no reader. */
  abortPending(): void;
  /** Writes out what it still holds, and closes. Called once. */
  close(): Promise<void>;
}

/** What {@link toStream} adds: this very buffer, so that it can be told from a datagram of one newline. */
export const NEWLINE = Buffer.from('\n');

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
    if (slab[offset + length - 1] !== NEWLINE[0]) take(NEWLINE, 0, 1, 0);
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

/** Puts what a thread handed over into pieces; only the first may not begin with a datagram. */
export function inPieces(
  { bytes, ends, begun }: HandedOver,
  take: (piece: Buffer, datagrams: number, begins: boolean) => void,
  most = PIECE,
): void {
  let start = 0;
  let datagrams = 0;
  for (const [i, end] of ends.entries()) {
    datagrams++;
    const next = ends[i + 1];
    if (next !== undefined && next - start <= most) continue;
    take(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start), datagrams, start > 0 || !begun);
    start = end;
    datagrams = 0;
  }
}

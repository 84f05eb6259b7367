import { PIECE } from 'mproxy-framing';
import type { HandedOver } from 'mproxy-net';

/** Splits the bytes that a thread handed over into pieces. Only the first may start inside a datagram. */
export function inPieces(
  { bytes, ends, begun }: HandedOver,
  take: (piece: Buffer, datagrams: number, begins: boolean) => void,
  limit = PIECE,
): void {
  let start = 0;
  let datagrams = 0;
  for (const [i, end] of ends.entries()) {
    datagrams++;
    const next = ends[i + 1];
    if (next !== undefined && next - start <= limit) continue;
    take(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start), datagrams, start > 0 || !begun);
    start = end;
    datagrams = 0;
  }
}

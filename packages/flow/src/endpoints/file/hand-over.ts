import { PIECE } from 'mproxy-framing';
import type { HandedOver } from 'mproxy-net';

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

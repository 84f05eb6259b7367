import { delimiterOf, type Frame } from 'mproxy-framing';

/**
 * Cuts bytes of a stream that are too long for one message, behind a delimiter where there is one.
 * @param frame of the stream; undefined: the bytes are datagrams
 * @param largest a server may take less than the headers of a message: then it is not positive
 * @returns false: they cannot be cut, and nothing was visited
 */
export function eachPiece(
  slab: Buffer,
  offset: number,
  end: number,
  { frame, largest }: { frame: Frame | undefined; largest: number },
  visit: (offset: number, length: number) => void,
): boolean {
  if (frame === undefined || frame === 'octet-counted' || largest < 1) return false;
  const delimiter = delimiterOf(frame);
  for (let at = offset; at < end; ) {
    const most = Math.min(at + largest, end);
    const last = delimiter === undefined ? -1 : slab.lastIndexOf(delimiter, most - 1);
    const next = last >= at ? last + 1 : most;
    visit(at, next - at);
    at = next;
  }
  return true;
}

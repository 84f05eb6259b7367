import { Buffer } from 'node:buffer';
import { writeBytes } from './bytes.js';

const SIZE = 8192;
/** Bytes that get memory of their own. */
const MANY = 2048;
/** Bytes around them that are copied, too: all bytes of an array need no view, which takes as much time as some hundred bytes. */
const AROUND = 512;

let memory = Buffer.allocUnsafeSlow(SIZE);
let used = 0;
/** The last copy: where its bytes are now, and how far they were moved. */
const copy = { bytes: memory, moved: 0 };

/** Copies bytes from `start` to `end`. Few of them come to be with those of other copies. The object returned is valid until the next call. */
export function keptCopy(bytes: Uint8Array, start: number, end: number): Readonly<typeof copy> {
  const isWhole = start + bytes.length - end < AROUND;
  const from = isWhole ? 0 : start;
  const to = isWhole ? bytes.length : end;
  const length = to - from;
  if (length > MANY) {
    copy.bytes = Buffer.allocUnsafeSlow(length);
    copy.moved = -from;
    writeBytes(copy.bytes, 0, bytes, from, to);
    return copy;
  }
  if (used + length > SIZE) {
    memory = Buffer.allocUnsafeSlow(SIZE);
    used = 0;
  }
  copy.bytes = memory;
  copy.moved = used - from;
  used = writeBytes(memory, used, bytes, from, to);
  return copy;
}

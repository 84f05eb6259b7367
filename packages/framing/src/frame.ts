import { type Cutter, type Emit, MAX_DATAGRAM } from './cutter.js';
import { LineCutter } from './line.js';
import { LinesCutter } from './lines.js';
import { RawCutter } from './raw.js';

/** The rules that cut a byte stream into datagrams, by name. */
const CUTTERS = { lines: LinesCutter, line: LineCutter, raw: RawCutter, mold: LinesCutter };

/**
 * A frame: the rule that cuts a byte stream into datagrams and puts datagrams back into a stream.
 *
 * - `lines`: as many whole lines as fit a datagram; back into a stream as they are.
 * - `line`: one line a datagram, its newline with it; back with a newline where one is missing.
 * - `raw`: every `payload` bytes; back as they are.
 * - `mold`: packets of MoldUDP64, which are made of whole lines and given back message by message elsewhere.
 */
export type Frame = keyof typeof CUTTERS;

export const FRAMES = Object.keys(CUTTERS) as Frame[];

export function isFrame(name: string): name is Frame {
  return Object.hasOwn(CUTTERS, name);
}

/**
 * Makes the cutter of a frame.
 * @param payload how full a datagram is made, in bytes, 1 to 65,507
 * @param emit takes each datagram as a range of a buffer that is never written again
 */
export function createCutter(frame: Frame, payload: number, emit: Emit): Cutter {
  // Of lines that become messages, one cut is as good as another.
  return new CUTTERS[frame](frame === 'mold' ? MAX_DATAGRAM : payload, emit);
}

/** Whether a datagram that does not end with a newline gets one when it is put back into a stream. */
export function endsEveryDatagram(frame: Frame): boolean {
  return frame === 'line';
}

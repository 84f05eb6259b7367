import { type Cutter, type Emit, MAX_DATAGRAM } from './cutter.js';
import { delimiterOf, type Frame } from './frame.js';
import { LineCutter } from './line.js';
import { LinesCutter } from './lines.js';
import { OctetCutter } from './octet-counted.js';
import { RawCutter } from './raw.js';

/** The cutter of each frame; not in frame.ts, since a command's help needs only the names. */
const CUTTERS = {
  lines: LinesCutter,
  line: LineCutter,
  raw: RawCutter,
  nul: LinesCutter,
  cr: LinesCutter,
  'octet-counted': OctetCutter,
  mold: LinesCutter,
};

/**
 * Creates the cutter of a frame.
 * @param payload maximum UDP payload in bytes, 1 to 65,507
 * @param emit takes each datagram as a range of a buffer that is never overwritten
 */
export function createCutter(frame: Frame, payload: number, emit: Emit): Cutter {
  // Each line becomes a message: it does not matter where the stream is cut between lines.
  return new CUTTERS[frame](frame === 'mold' ? MAX_DATAGRAM : payload, emit, delimiterOf(frame));
}

import { type Cutter, type Emit, MAX_DATAGRAM } from './cutter.js';
import { delimiterOf, type Frame } from './frame.js';
import { LineCutter } from './line.js';
import { LinesCutter } from './lines.js';
import { OctetCutter } from './octet-counted.js';
import { RawCutter } from './raw.js';

/** How a frame cuts: apart from the frames' names, as those alone are needed for a command's help. */
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
 * Makes the cutter of a frame.
 * @param payload maximum UDP payload in bytes, 1 to 65,507
 * @param emit takes each datagram as a range of a buffer that is never written again
 */
export function createCutter(frame: Frame, payload: number, emit: Emit): Cutter {
  // Of lines that become messages, one cut is as good as another.
  return new CUTTERS[frame](frame === 'mold' ? MAX_DATAGRAM : payload, emit, delimiterOf(frame));
}

export { Cutter, type Emit, MAX_DATAGRAM } from './cutter.js';
export { createCutter } from './cutters.js';
export { endsEveryDatagram, FRAMES, type Frame, isFrame } from './frame.js';
export * from './mold/index.js';

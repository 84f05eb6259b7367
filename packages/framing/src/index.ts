export { Cutter, type Emit, MAX_DATAGRAM } from './cutter.js';
export { createCutter, endsEveryDatagram, FRAMES, type Frame, isFrame } from './frame.js';
export * from './mold/index.js';

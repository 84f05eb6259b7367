export { Cutter, type Emit, MAX_DATAGRAM } from './cutter.js';
export { createCutter } from './cutters.js';
export { delimiterOf, endsEveryDatagram, FRAMES, type Frame, isFrame } from './frame.js';
export * from './mold/index.js';
export { FramingError, octetCount } from './octet-counted.js';

export { BATCH_CAPACITY, Batch } from './batch.js';
export { Cutter, MAX_DATAGRAM, NEWLINE } from './cutter.js';
export { createCutter } from './cutters.js';
export { delimiterOf, endsEveryDatagram, FRAMES, type Frame, isFrame } from './frame.js';
export { ADDED_NEWLINE, encoded, PIECE, type Take, toStream } from './join.js';
export { FramingError, octetCount } from './octet-counted.js';

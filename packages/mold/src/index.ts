export * from './answer.js';
export * from './copier.js';
export * from './gaps.js';
export * from './packer.js';
export * from './packet.js';
export * from './rtt-estimator.js';
export * from './store.js';
export * from './tracker.js';

export * from './batch.js';
export * from './coalescer.js';
export * from './cutter.js';
export * from './cutters.js';
export * from './frame.js';
export * from './join.js';
export * from './octet-counted.js';

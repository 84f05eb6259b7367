export * from './errors.js';
export * from './flag.js';
export * from './internal.js';
export * from './prefixes.js';
export * from './roster.js';
export * from './socket-address.js';
export * from './units.js';
export * from './version.js';

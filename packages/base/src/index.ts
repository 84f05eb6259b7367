export { type ErrorCode, failure, MproxyError, reason, usage } from './errors.js';
export {
  choice,
  duration,
  type Flag,
  type FlagGroups,
  type FlagTable,
  firstGiven,
  flagName,
  flagNames,
  integer,
  listOf,
  type OptionsOf,
  rate,
  readFlags,
  size,
  text,
  texts,
  toggle,
  type ValuesOf,
  yesNo,
} from './flag.js';
export { throwInternal } from './internal.js';
export { type SocketAddress, showAddress } from './socket-address.js';
export {
  parseDuration,
  parseInteger,
  parseRate,
  parseSize,
  type Rate,
  showBytes,
  showCount,
  showDuration,
  showMemory,
  showNumber,
} from './units.js';
export { VERSION } from './version.js';

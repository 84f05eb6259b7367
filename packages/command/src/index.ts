export { type About, flagGroups, fullSummary, UNITS } from './about.js';
export { type CommandSpec, runCommand } from './command.js';
export {
  addressFlag,
  FLUSH_AFTER_FLAG,
  type Flag,
  keyFlags,
  MOLD_RECEIVE_FLAGS,
  MOLD_SEND_FLAGS,
} from './flags.js';
export type { Messages } from './messages.js';

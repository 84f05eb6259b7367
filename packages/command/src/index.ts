export { type About, fullSummary, keyGroups, UNITS } from './about.js';
export { type CommandSpec, runCommand } from './command.js';
export { flagGroups } from './flags.js';
export type { Messages } from './messages.js';

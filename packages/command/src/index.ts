export { type About, flagGroups, fullSummary, keyGroups, UNITS } from './about.js';
export { type CommandSpec, runCommand } from './command.js';
export type { Messages } from './messages.js';

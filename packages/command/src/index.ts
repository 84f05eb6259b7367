export { type CommandSpec, runCommand } from './command.js';
export { addressFlag, type Flag, keyFlags } from './flags.js';

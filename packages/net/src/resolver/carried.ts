import { type ChildProcess, fork } from 'node:child_process';
import { forkOptions } from './start.js';

/** Starts the resolver process: the standalone executable itself (packaging/executables.mjs). */
export function startResolver(): ChildProcess {
  return fork('resolver', forkOptions());
}

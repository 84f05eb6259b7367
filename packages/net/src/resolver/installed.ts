import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { forkOptions } from './start.js';

/**
 * Starts the resolver process from its script in the installed package.
 * @throws if it is not installed, as where a bundle is all that there is
 */
export function startResolver(): ChildProcess {
  return fork(createRequire(import.meta.url).resolve('mproxy-net/resolver/child'), forkOptions());
}

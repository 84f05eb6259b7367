import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { forkOptions } from './start.js';

/**
 * Starts the resolver process from its script in an installed package.
 * @throws if there is no such file, as in a bundle: fork would start another program
 */
export function startResolver(): ChildProcess {
  const script = fileURLToPath(new URL('./child.js', import.meta.url));
  if (!existsSync(script)) throw new Error(`there is no ${script}`);
  return fork(script, forkOptions());
}

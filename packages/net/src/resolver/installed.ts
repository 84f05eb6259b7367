import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { forkOptions } from './start.js';

/**
 * Starts the resolver process, where its script is a file of an installed package.
 * @throws where there is no such file, as in a bundle: what is started then would be another program
 */
export function startResolver(): ChildProcess {
  const script = fileURLToPath(new URL('./child.js', import.meta.url));
  if (!existsSync(script)) throw new Error(`there is no ${script}`);
  return fork(script, forkOptions());
}

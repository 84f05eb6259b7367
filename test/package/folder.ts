import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Test } from 'tap';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** An empty folder outside the clone, whose node_modules nothing in it can find. The test removes it. */
export function emptyFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'mproxy-package-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a program to its end, and returns what it printed. @throws with all that it said, when it fails */
export async function runIn(cwd: string, file: string, ...args: string[]): Promise<string> {
  const options = { cwd, timeout: 120_000, maxBuffer: 64 * 1024 * 1024 };
  try {
    // The test runner has every child load it first (NODE_OPTIONS), whatever its `env` says.
    return (await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', file, ...args], options)).stdout;
  } catch (error) {
    const { message, stdout } = error as Error & { stdout?: string };
    throw new Error(`${message}\n${stdout ?? ''}`);
  }
}

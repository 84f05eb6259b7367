import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { until } from '../support/wait.js';

/** The names of a file's rotated pieces, from the oldest to the newest. */
export function piecesOf(file: string): string[] {
  const stamped = /^\.\d{8}-\d{6}\.\d{3}(\.gz)?$/;
  const name = basename(file);
  return readdirSync(dirname(file))
    .filter((one) => one.startsWith(name) && stamped.test(one.slice(name.length)))
    .sort()
    .map((one) => join(dirname(file), one));
}

/** What is in a file, or was before it was compressed. */
export function contentOf(path: string): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

/**
 * All pieces, and the file, joined.
 *
 * @throws ENOENT where one was renamed, or compressed, after it was listed: `until` tries again
 */
export function joined(file: string): string {
  return Buffer.concat([...piecesOf(file), file].map(contentOf)).toString('latin1');
}

/** Resolves when a file was rotated so many times, and is there again. */
export async function rotated(file: string, times: number): Promise<void> {
  await until(`rotated ${times} times`, () => piecesOf(file).length === times && existsSync(file));
}

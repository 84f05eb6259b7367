import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';

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

/** All pieces, and the file, joined. */
export function joined(file: string): string {
  for (let tries = 0; ; tries++) {
    try {
      return Buffer.concat([...piecesOf(file), file].map(contentOf)).toString('latin1');
    } catch (error) {
      // One was renamed, or compressed, after it was listed: it is listed again.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === 100) throw error;
    }
  }
}

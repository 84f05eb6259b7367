import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** An empty folder with a short name, which paths of Unix sockets need (unix(7)). The test removes it. */
export function shortFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'mproxy-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

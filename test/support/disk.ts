import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** Why a disk of the test's own cannot be mounted here; false where it can. For `skip`. */
export const noMounts = (() => {
  if (process.platform !== 'linux') return 'tmpfs is Linux';
  return process.getuid?.() === 0 ? false : 'mounting needs root';
})();

/** A disk of 64 KiB, with a file that can make room. */
export function smallDisk(t: Test): { dir: string; ballast: string } {
  const dir = mkdtempSync(join(tmpdir(), 'mproxy-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dir]);
  t.teardown(() => {
    execFileSync('umount', ['-l', dir]);
    rmdirSync(dir);
  });
  const ballast = join(dir, 'ballast');
  writeFileSync(ballast, Buffer.alloc(48 * 1024));
  return { dir, ballast };
}

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';

export const NAMES = ['mproxy-client', 'mproxy-server', 'mproxy-forward', 'mproxy-reverse'];

/** The folder `bin` of a test's own, with scripts that answer `--help` as the Rust original does, and nothing else. */
export function standIns(t: Test, names = NAMES): string {
  const folder = join(t.testdir(), 'bin');
  mkdirSync(folder);
  for (const name of names)
    script(folder, name, `printf '\\nMPROXY\\n\\nUSAGE:\\n  ${name}  [FLAGS] [OPTIONS]\\n'`);
  return folder;
}

export function script(folder: string, name: string, body: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(folder, name), 0o755);
}

/** Writes what `cargo install --root` leaves beside `bin`. */
export function record(folder: string, versions: Record<string, string>): void {
  const source = 'registry+https://github.com/rust-lang/crates.io-index';
  const lines = Object.entries(versions).map(
    ([name, version]) => `"${name} ${version} (${source})" = ["${name}"]`,
  );
  writeFileSync(join(folder, '..', '.crates.toml'), ['[v1]', ...lines, ''].join('\n'));
}

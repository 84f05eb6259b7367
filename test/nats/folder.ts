import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** A directory that the test removes. */
export class Folder {
  readonly #directory = mkdtempSync(join(tmpdir(), 'mproxy-nats-'));

  constructor(t: Test) {
    t.teardown(() => rmSync(this.#directory, { recursive: true, force: true }));
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }
}

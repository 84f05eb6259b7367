import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startProgram } from '../support/command.js';
import { until } from '../support/wait.js';

/** Puts a stand-in for a command into a folder: it prints each of its arguments in brackets. */
export function standIn(folder: string, name: string): void {
  const file = join(folder, name);
  writeFileSync(file, '#!/bin/sh\nprintf "got"\nprintf "[%s]" "$@"\nprintf ".\\n"\n');
  chmodSync(file, 0o755);
}

const PROMPT = 'READY>';

/** An interactive shell on a terminal of its own, script(1)'s, in a folder that its PATH begins with. */
export class Terminal {
  readonly #running;
  #seen = 0;

  constructor(t: Test, shell: string, cwd: string) {
    const env = { ...process.env, PATH: `${cwd}:${process.env.PATH}`, TERM: 'dumb', HOME: cwd };
    this.#running = startProgram(t, 'script', ['-qec', `PS1='${PROMPT}' exec ${shell}`, '/dev/null'], {
      cwd,
      env,
    });
  }

  /** Types keys at the next prompt; a line's end with them. */
  async type(keys: string): Promise<void> {
    const prompted = () => this.#text.indexOf(PROMPT, this.#seen) >= 0;
    await until('a prompt', prompted).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(this.#text)}`);
    });
    this.#seen = this.#text.length;
    this.#running.child.stdin!.write(`${keys}\n`);
  }

  /** Types the beginning of a command line, with tabs in it, and returns the arguments that it became. */
  async completed(keys: string): Promise<string> {
    await this.type(keys);
    const found = () => /got((?:\[[^\]]*\])+)\.\r?\n/.exec(this.#text.slice(this.#seen))?.[1];
    await until(`${JSON.stringify(keys)} is carried out`, () => found() !== undefined).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(this.#text.slice(this.#seen))}`);
    });
    const result = found()!;
    this.#seen += this.#text.slice(this.#seen).indexOf(result);
    return result;
  }

  get #text(): string {
    return String(this.#running.stdout);
  }
}

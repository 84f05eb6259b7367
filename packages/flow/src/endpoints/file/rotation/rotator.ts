import { accessSync, constants, realpathSync, renameSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Program } from '../../../program.js';
import type { AppendFile } from '../append.js';
import { nextBoundary } from './clock.js';
import type { Rotation } from './options.js';
import { Pieces } from './pieces.js';
import { Trouble } from './trouble.js';

/** How often the clock is looked at: it may be set. */
const LOOK_MS = 1000;
const RETRY_MS = 10_000;

/** Renames a file and begins it anew: when it is asked to, and says itself when it is time to ask. */
export class Rotator {
  rotations = 0;
  readonly #pieces: Pieces;
  readonly #trouble: Trouble;
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;

  /** @throws where the file's directory cannot be written to */
  constructor(
    private readonly program: Program,
    private readonly file: AppendFile,
    readonly rotation: Rotation,
    /** The clock says that it is time, or an attempt failed some time ago. */
    private readonly timeIsUp: () => void,
  ) {
    const { stat } = file;
    const path = realpathSync(file.path);
    const directory = dirname(path);
    try {
      accessSync(directory, constants.W_OK | constants.X_OK);
    } catch (cause) {
      throw new Error(`it cannot be renamed: ${directory} cannot be written to`, { cause });
    }
    this.#trouble = new Trouble(
      program,
      'rotating',
      file.path,
      'going on with the old file, trying every 10 s',
    );
    this.#pieces = new Pieces(program, path, rotation);
    const { every } = rotation;
    // What an earlier run wrote in an earlier period stands alone.
    const since = stat.size > 0 ? stat.mtimeMs : Date.now();
    if (every > 0) this.#timer = setTimeout(() => this.#watch(nextBoundary(since, every)), 0).unref();
  }

  /** @returns false where that failed, and was told: the file is as it was, and is asked for again later */
  rotate(): boolean {
    try {
      this.#rotate();
      this.#trouble.over();
      return true;
    } catch (error) {
      this.#trouble.failed(error);
      clearTimeout(this.#retry);
      this.#retry = setTimeout(this.timeIsUp, RETRY_MS).unref();
      return false;
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    this.#trouble.conclude();
    await this.#pieces.close();
  }

  #rotate(): void {
    const { file, program } = this;
    const old = file.stat;
    const there = statSync(file.path, { throwIfNoEntry: false });
    // Somebody else moved it away, or put another in its place.
    if (!there || !same(there, old)) {
      file.reopen(old);
      return;
    }
    // What is renamed is the file, not the link that leads to it.
    const path = realpathSync(file.path);
    const piece = this.#pieces.next();
    renameSync(path, piece);
    try {
      file.reopen(old, path);
    } catch (error) {
      renameSync(piece, path);
      throw error;
    }
    this.rotations++;
    program.notice(`writing: ${file.path}: rotated to ${piece}`);
    this.#pieces.add(piece);
  }

  /** Waits for a time of the wall clock, which may be set back or forward meanwhile. */
  #watch(next: number): void {
    const { every } = this.rotation;
    const now = Date.now();
    let then = next;
    if (now >= next || next - now > 2 * every) then = nextBoundary(now, every);
    this.#timer = setTimeout(() => this.#watch(then), Math.min(then - now, LOOK_MS)).unref();
    if (now >= next) this.timeIsUp();
  }
}

function same(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

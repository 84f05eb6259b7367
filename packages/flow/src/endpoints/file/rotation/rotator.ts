import { accessSync, constants, realpathSync, renameSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Program } from '../../../program.js';
import type { AppendFile } from '../append.js';
import { FILE_ROTATED } from '../events.js';
import { nextBoundary } from './clock.js';
import type { Rotation } from './options.js';
import { Pieces } from './pieces.js';
import { Trouble } from './trouble.js';

/** Interval for reading the clock, which may be set. */
const CLOCK_POLL_MS = 1000;
const RETRY_MS = 10_000;

/** Rotates a file on request, and signals when a rotation is due. */
export class Rotator {
  rotations = 0;
  readonly #pieces: Pieces;
  readonly #trouble: Trouble;
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;

  /** @throws if the file's directory is not writable */
  constructor(
    private readonly program: Program,
    private readonly file: AppendFile,
    readonly rotation: Rotation,
    /** Called when a rotation is due by the clock or after a failed attempt. */
    private readonly onDue: () => void,
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
    // Data that an earlier run wrote in an earlier period gets its own file.
    const since = stat.size > 0 ? stat.mtimeMs : Date.now();
    if (every > 0) this.#timer = setTimeout(() => this.#checkClock(nextBoundary(since, every)), 0).unref();
  }

  /** @returns false after a failure, which is reported: the file is unchanged, and a retry is scheduled */
  rotate(): boolean {
    try {
      this.#rotate();
      this.#trouble.over();
      return true;
    } catch (error) {
      this.#trouble.failed(error);
      clearTimeout(this.#retry);
      this.#retry = setTimeout(this.onDue, RETRY_MS).unref();
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
    const current = statSync(file.path, { throwIfNoEntry: false });
    // Another program moved or replaced the file.
    if (!current || !same(current, old)) {
      file.reopen(old);
      return;
    }
    // Rename the file, not a symbolic link to it.
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
    program.emit(FILE_ROTATED, { file: file.path, piece });
    this.#pieces.add(piece);
  }

  /** Waits for a wall clock time; the clock may be set meanwhile. */
  #checkClock(next: number): void {
    const { every } = this.rotation;
    const now = Date.now();
    let due = next;
    if (now >= next || next - now > 2 * every) due = nextBoundary(now, every);
    this.#timer = setTimeout(() => this.#checkClock(due), Math.min(due - now, CLOCK_POLL_MS)).unref();
    if (now >= next) this.onDue();
  }
}

function same(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

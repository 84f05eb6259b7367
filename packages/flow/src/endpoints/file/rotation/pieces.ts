import { existsSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Program } from '../../../program.js';
import { localClock } from './clock.js';
import { PACKED, UNDER_WAY } from './gzip.js';
import type { Rotation } from './options.js';
import { Trouble } from './trouble.js';

/** A rotated file. */
interface Piece {
  path: string;
  packed: boolean;
}

/**
 * The rotated pieces of a file, including those of earlier runs. Their names sort in the order of rotation.
 * The oldest are removed, the others compressed in the background.
 */
export class Pieces {
  /** From the oldest to the newest. */
  readonly #pieces: Piece[];
  readonly #removals = new Set<Promise<void>>();
  readonly #packing: Trouble;
  readonly #removing: Trouble;
  readonly #closing = new AbortController();
  /** Local time of the newest piece. */
  #newest: number;
  #current: { piece: Piece; abort: AbortController; done: Promise<void> } | undefined;
  #compressing: Promise<void> | undefined;

  constructor(
    program: Program,
    private readonly path: string,
    private readonly rotation: Rotation,
  ) {
    this.#packing = new Trouble(program, 'compressing', path, 'leaving it as it is until the next rotation');
    this.#removing = new Trouble(program, 'removing old files', path, 'leaving them');
    const found = findPieces(path);
    this.#pieces = found.pieces;
    this.#newest = found.newest;
    this.#maintain();
  }

  /** A name for the next piece, later than all existing ones even if the clock was set back. */
  next(): string {
    do this.#newest = Math.max(localClock(Date.now()), this.#newest + 1);
    while (existsSync(this.#name) || existsSync(`${this.#name}${PACKED}`));
    return this.#name;
  }

  add(path: string): void {
    this.#pieces.push({ path, packed: false });
    this.#maintain();
  }

  /** Uncompressed pieces are left to the next run. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#current?.abort.abort();
    await Promise.all([this.#compressing, ...this.#removals]);
    this.#packing.conclude();
    this.#removing.conclude();
  }

  get #name(): string {
    return `${this.path}.${stampOf(this.#newest)}`;
  }

  #maintain(): void {
    while (this.#pieces.length > this.rotation.keep) {
      const removal = this.#remove(this.#pieces.shift()!).then(() => void this.#removals.delete(removal));
      this.#removals.add(removal);
    }
    if (!this.rotation.gzip) return;
    this.#compressing ??= this.#compressAll().then(() => {
      this.#compressing = undefined;
    });
  }

  async #remove(piece: Piece): Promise<void> {
    if (this.#current?.piece === piece) {
      this.#current.abort.abort();
      await this.#current.done;
    }
    try {
      await rm(piece.path, { force: true });
      await rm(`${piece.path}${PACKED}`, { force: true });
      this.#removing.over();
    } catch (error) {
      this.#removing.failed(error);
    }
  }

  /** Compresses all pieces in order. After a failure, waits for the next rotation. */
  async #compressAll(): Promise<void> {
    let failed = false;
    while (!failed && !this.#closing.signal.aborted) {
      const piece = this.#pieces.find(({ packed }) => !packed);
      if (!piece) return;
      const abort = new AbortController();
      const done = this.#compressOne(piece, abort.signal).then((ok) => {
        failed = !ok;
      });
      this.#current = { piece, abort, done };
      await done;
      this.#current = undefined;
    }
  }

  /** @returns whether it is compressed, or need not be compressed */
  async #compressOne(piece: Piece, signal: AbortSignal): Promise<boolean> {
    try {
      await this.rotation.gzip?.compress(piece.path, signal);
      this.#packing.over();
    } catch (error) {
      // Otherwise it was removed by another program, or compression was aborted.
      if (existsSync(piece.path) && !signal.aborted) {
        this.#packing.failed(error);
        return false;
      }
    }
    piece.packed = true;
    return true;
  }
}

const STAMP = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)\.(\d{3})$/;

/** Formats local time as `YYYYMMDD-HHMMSS.mmm`. */
function stampOf(local: number): string {
  return new Date(local).toISOString().slice(0, -1).replace(/[-:]/g, '').replace('T', '-');
}

/** @returns local time; undefined if the text is not a valid stamp */
function timeOf(stamp: string): number | undefined {
  const [year, month, day, ...clock] = (STAMP.exec(stamp) ?? []).slice(1).map(Number);
  const [hour, minute, second, ms] = clock;
  const time = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second, ms);
  return stampOf(time || 0) === stamp ? time : undefined;
}

/** Finds the pieces of earlier runs, and removes incomplete compressed files. */
function findPieces(path: string): { pieces: Piece[]; newest: number } {
  const directory = dirname(path);
  const prefix = `${basename(path)}.`;
  const packed = new Map<string, boolean>();
  let newest = 0;
  const names = readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
  for (const name of names.sort()) {
    if (!name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    const suffix = [UNDER_WAY, PACKED].find((one) => rest.endsWith(one)) ?? '';
    const stamp = rest.slice(0, rest.length - suffix.length);
    const time = timeOf(stamp);
    if (time === undefined) continue;
    if (suffix === UNDER_WAY) {
      rmSync(join(directory, name));
      continue;
    }
    // If both files exist, the compressed one may be incomplete: it is created again.
    if (!packed.has(stamp)) packed.set(stamp, suffix === PACKED);
    newest = Math.max(newest, time);
  }
  const pieces = [...packed].map(([stamp, packed]) => ({ path: `${path}.${stamp}`, packed }));
  return { pieces, newest };
}

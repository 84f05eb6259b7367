import { existsSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Program } from '../../../program.js';
import { localClock } from './clock.js';
import { PACKED, UNDER_WAY } from './gzip.js';
import type { Rotation } from './options.js';
import { Trouble } from './trouble.js';

/** What one rotation left behind. */
interface Piece {
  path: string;
  packed: boolean;
}

/**
 * The rotated pieces of a file, those of earlier runs with them: gives them names in whose order they are to be read,
 * removes the oldest, and compresses the others in the background.
 */
export class Pieces {
  /** From the oldest to the newest. */
  readonly #pieces: Piece[];
  readonly #removals = new Set<Promise<void>>();
  readonly #packing: Trouble;
  readonly #removing: Trouble;
  readonly #close = new AbortController();
  /** When the newest was made, by the local clock. */
  #newest: number;
  #now: { piece: Piece; abort: AbortController; done: Promise<void> } | undefined;
  #tending: Promise<void> | undefined;

  constructor(
    program: Program,
    private readonly path: string,
    private readonly rotation: Rotation,
  ) {
    this.#packing = new Trouble(program, 'compressing', path, 'leaving it as it is until the next rotation');
    this.#removing = new Trouble(program, 'removing old files', path, 'leaving them');
    const found = find(path);
    this.#pieces = found.pieces;
    this.#newest = found.newest;
    this.#tend();
  }

  /** A name for the next, later than all there are, whatever the clock says. */
  next(): string {
    do this.#newest = Math.max(localClock(Date.now()), this.#newest + 1);
    while (existsSync(this.#name) || existsSync(`${this.#name}${PACKED}`));
    return this.#name;
  }

  /** There is one more. */
  add(path: string): void {
    this.#pieces.push({ path, packed: false });
    this.#tend();
  }

  /** Leaves what is not yet compressed to the next run. */
  async close(): Promise<void> {
    this.#close.abort();
    this.#now?.abort.abort();
    await Promise.all([this.#tending, ...this.#removals]);
    this.#packing.conclude();
    this.#removing.conclude();
  }

  get #name(): string {
    return `${this.path}.${stampOf(this.#newest)}`;
  }

  #tend(): void {
    while (this.#pieces.length > this.rotation.keep) {
      const removal = this.#remove(this.#pieces.shift()!).then(() => void this.#removals.delete(removal));
      this.#removals.add(removal);
    }
    if (!this.rotation.gzip) return;
    this.#tending ??= this.#pack().then(() => {
      this.#tending = undefined;
    });
  }

  async #remove(piece: Piece): Promise<void> {
    if (this.#now?.piece === piece) {
      this.#now.abort.abort();
      await this.#now.done;
    }
    try {
      await rm(piece.path, { force: true });
      await rm(`${piece.path}${PACKED}`, { force: true });
      this.#removing.over();
    } catch (error) {
      this.#removing.failed(error);
    }
  }

  /** Compresses one after another until all are; after a failure, when there is one more. */
  async #pack(): Promise<void> {
    let failed = false;
    while (!failed && !this.#close.signal.aborted) {
      const piece = this.#pieces.find(({ packed }) => !packed);
      if (!piece) return;
      const abort = new AbortController();
      const done = this.#packOne(piece, abort.signal).then((well) => {
        failed = !well;
      });
      this.#now = { piece, abort, done };
      await done;
      this.#now = undefined;
    }
  }

  /** @returns whether it is compressed, or need not be */
  async #packOne(piece: Piece, signal: AbortSignal): Promise<boolean> {
    try {
      await this.rotation.gzip?.compress(piece.path, signal);
      this.#packing.over();
    } catch (error) {
      // Somebody else took it away, or it is to be removed.
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

/** `YYYYMMDD-HHMMSS.mmm` of a time by the local clock. */
function stampOf(local: number): string {
  return new Date(local).toISOString().slice(0, -1).replace(/[-:]/g, '').replace('T', '-');
}

/** @returns the time by the local clock; undefined for what is no stamp */
function timeOf(stamp: string): number | undefined {
  const [year, month, day, ...clock] = (STAMP.exec(stamp) ?? []).slice(1).map(Number);
  const [hour, minute, second, ms] = clock;
  const time = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second, ms);
  return stampOf(time || 0) === stamp ? time : undefined;
}

/** The files that earlier runs left. What one of them was compressing when it was killed is removed. */
function find(path: string): { pieces: Piece[]; newest: number } {
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
    // Where both are there, who knows whether the compressed one is whole: it is made again.
    if (!packed.has(stamp)) packed.set(stamp, suffix === PACKED);
    newest = Math.max(newest, time);
  }
  const pieces = [...packed].map(([stamp, packed]) => ({ path: `${path}.${stamp}`, packed }));
  return { pieces, newest };
}

import type { Hop } from './hop.js';
import type { Paint } from './paint.js';

/** What `npm start` runs. */
export interface Demonstration {
  /** The commands that it runs, by their names. */
  readonly hops: ReadonlyMap<string, Hop>;
  /** Starts the commands and what they need. */
  open(): Promise<void>;
  /** Sends data through them, and waits for its end. */
  run(): Promise<void>;
  /** Whether all went well, beside how the commands ended; and what came of it, for display. */
  result(): { good: boolean; lines: string[] };
  /** Stops everything that it started, and removes its files. */
  close(): Promise<void>;
}

/** What a screen shows of a running demonstration. */
export interface View {
  /** Updates figures that are not event-driven. */
  poll(): void;
  /** The lines of a picture. */
  draw(frame: Frame): string[];
  /** The same figures as lines that stand alone. */
  list(): string[];
}

export interface Frame {
  paint: Paint;
  /** Width of the terminal. */
  columns: number;
  /** Since the start. */
  seconds: number;
  /** Whether results are shown, too. */
  finished: boolean;
}

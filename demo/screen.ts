import type { View } from './demonstration.js';
import type { Hop } from './hop.js';
import { type Paint, paintFor } from './paint.js';

/** Display of a demonstration. */
export interface Screen {
  /** Shows the command of a started hop. */
  hop(hop: Hop): void;
  /** Shows lines of text, below the commands. */
  text(lines: readonly string[]): void;
  /** Starts displaying the picture. */
  show(view: View): void;
  /** Shows the final state; if finished, with the results. */
  end(finished: boolean): void;
}

/**
 * A picture redrawn in place on a large enough terminal; otherwise lines, once per second.
 * @param title shown before the first hop
 */
export function openScreen(output: NodeJS.WriteStream, title: string): Screen {
  const { isTTY, columns = 0, rows = 0 } = output;
  const fits = isTTY && columns >= 72 && rows >= 20 && process.env.TERM !== 'dumb';
  return new LiveScreen(output, title, paintFor(output), fits);
}

/** Hides the cursor and disables line wrapping; and the reverse. */
const START_DRAWING = '\x1b[?25l\x1b[?7l';
const STOP_DRAWING = '\x1b[?7h\x1b[?25h';

class LiveScreen implements Screen {
  #view: View | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hops = 0;
  #height = 0;
  #started = 0;

  constructor(
    private readonly output: NodeJS.WriteStream,
    private readonly title: string,
    private readonly paint: Paint,
    /** Whether the picture is redrawn in place. */
    private readonly redraws: boolean,
  ) {}

  hop({ pid, command }: Hop): void {
    if (this.#hops++ === 0) this.output.write(`\n  ${this.paint.bold(this.title)}\n\n`);
    this.text([`${String(pid).padEnd(7)} ${command}`]);
  }

  text(lines: readonly string[]): void {
    this.output.write(lines.map((line) => `${this.paint.dim(`  ${line}`)}\n`).join(''));
  }

  show(view: View): void {
    this.#view = view;
    this.#started = performance.now();
    this.output.write('\n');
    if (this.redraws) this.output.write(START_DRAWING);
    this.#timer = setInterval(() => this.#update(view), this.redraws ? 100 : 1000);
  }

  end(finished: boolean): void {
    clearInterval(this.#timer);
    if (!this.#view) return;
    if (this.redraws || finished) this.#draw(this.#view, finished);
    if (this.redraws) this.output.write(STOP_DRAWING);
    this.#view = undefined;
  }

  #update(view: View): void {
    view.poll();
    if (this.redraws) this.#draw(view, false);
    else this.#list(view);
  }

  #list(view: View): void {
    const at = `${this.#seconds.toFixed(0)} s`.padStart(5);
    this.output.write(
      view
        .list()
        .map((line) => `${at}  ${line}\n`)
        .join(''),
    );
  }

  #draw(view: View, finished: boolean): void {
    const { columns = 100 } = this.output;
    const lines = view.draw({ paint: this.paint, columns, seconds: this.#seconds, finished });
    const up = this.#height > 0 ? `\x1b[${this.#height}A` : '';
    const end = this.redraws ? '\x1b[K\n' : '\n';
    this.output.write(up + lines.map((line) => (line === '' ? end : `  ${line}${end}`)).join(''));
    if (this.redraws) this.#height = lines.length;
  }

  get #seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }
}

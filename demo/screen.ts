import { showBytes } from 'mproxy-base';
import type { Chain } from './chain.js';
import type { Hop } from './hop.js';
import { type Part, picture, type Row } from './picture.js';

/** Display of a running chain. */
export interface Screen {
  /** Shows the command of a started hop. */
  hop(hop: Hop): void;
  /** Starts displaying the chain. */
  show(chain: Chain): void;
  /** Shows the final state; if finished, with the result of every reader. */
  end(finished: boolean): void;
}

/** A picture redrawn in place on a large enough terminal; otherwise lines, once per second. */
export function openScreen(output: NodeJS.WriteStream): Screen {
  const { isTTY, columns = 0, rows = 0 } = output;
  const fits = isTTY && columns >= 72 && rows >= 20 && process.env.TERM !== 'dumb';
  const paint = isTTY && !process.env.NO_COLOR ? COLOURS : NO_COLOURS;
  return new LiveScreen(output, paint, fits);
}

type Paint = Record<'bold' | 'dim' | 'good' | 'bad' | 'flow', (text: string) => string>;

const sgr = (code: number) => (text: string) => `\x1b[${code}m${text}\x1b[0m`;
const same = (text: string) => text;
const COLOURS: Paint = { bold: sgr(1), dim: sgr(2), good: sgr(32), bad: sgr(31), flow: sgr(36) };
const NO_COLOURS: Paint = { bold: same, dim: same, good: same, bad: same, flow: same };

/** Hides the cursor and disables line wrapping; and the reverse. */
const START_DRAWING = '\x1b[?25l\x1b[?7l';
const STOP_DRAWING = '\x1b[?7h\x1b[?25h';

const TITLE = 'The four programs as one chain, on the loopback interface alone:';

class LiveScreen implements Screen {
  #chain: Chain | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hops = 0;
  #height = 0;
  #started = 0;

  constructor(
    private readonly output: NodeJS.WriteStream,
    private readonly paint: Paint,
    /** Whether the picture is redrawn in place. */
    private readonly redraws: boolean,
  ) {}

  hop({ pid, command }: Hop): void {
    if (this.#hops++ === 0) this.output.write(`\n  ${this.paint.bold(TITLE)}\n\n`);
    this.output.write(`${this.paint.dim(`  ${String(pid).padEnd(7)} ${command}`)}\n`);
  }

  show(chain: Chain): void {
    this.#chain = chain;
    this.#started = performance.now();
    this.output.write('\n');
    if (this.redraws) this.output.write(START_DRAWING);
    this.#timer = setInterval(() => this.#update(), this.redraws ? 100 : 1000);
  }

  end(finished: boolean): void {
    clearInterval(this.#timer);
    if (!this.#chain) return;
    if (this.redraws || finished) this.#draw(this.#chain, finished);
    if (this.redraws) this.output.write(STOP_DRAWING);
    this.#chain = undefined;
  }

  #update(): void {
    this.#chain!.poll();
    if (this.redraws) this.#draw(this.#chain!, false);
    else this.#list(this.#chain!);
  }

  /** Writes a line for every hop and reader. */
  #list(chain: Chain): void {
    const at = `${this.#seconds.toFixed(0)} s`.padStart(5);
    const rows = picture(chain, false).filter((part) => typeof part !== 'string');
    for (const { name, bytes, datagrams, note } of rows) {
      const counts = `${count(datagrams).padStart(9)} ${datagrams === undefined ? ' '.repeat(9) : 'datagrams'}`;
      this.output.write(
        `${at}  ${name.padEnd(16)}${counts}  ${showBytes(bytes).padStart(9)}  ${note}`.trimEnd(),
      );
      this.output.write('\n');
    }
  }

  #draw(chain: Chain, finished: boolean): void {
    const { paint } = this;
    const total = chain.feed.size ?? chain.sent.bytes;
    const lines = [
      this.#heading(),
      ...picture(chain, finished).map((part) => this.#line(part, total)),
      '',
      paint.dim(`last line at reader 5  ${printable(chain.readers.at(-1)!.tally.lastLine)}`),
    ];
    const up = this.#height > 0 ? `\x1b[${this.#height}A` : '';
    const end = this.redraws ? '\x1b[K\n' : '\n';
    this.output.write(up + lines.map((line) => (line === '' ? end : `  ${line}${end}`)).join(''));
    if (this.redraws) this.#height = lines.length;
  }

  #heading(): string {
    const time = `${this.#seconds.toFixed(1)} s`;
    return this.paint.dim(
      `${time.padEnd(NAME_WIDTH + 1 + this.#bar)}${'datagrams'.padStart(COUNT_WIDTH)}${'bytes'.padStart(COUNT_WIDTH)}`,
    );
  }

  #line(part: Part, total: number): string {
    const { paint } = this;
    if (typeof part === 'string') return part.startsWith('│') ? paint.dim(part) : paint.bold(part);
    const { branch, name, bytes, datagrams, note, mood } = part;
    const label = paint.dim(branch) + (datagrams === undefined ? name : paint.bold(name));
    const gap = ' '.repeat(Math.max(1, NAME_WIDTH + 1 - branch.length - name.length));
    const counts = `${count(datagrams).padStart(COUNT_WIDTH)}${showBytes(bytes).padStart(COUNT_WIDTH)}`;
    const mark = { good: '✔ ', bad: '✘ ', plain: '' }[mood];
    const remark = mood === 'plain' ? note : paint[mood](mark + note);
    return `${label}${gap}${this.#gauge(part, total)}${counts}  ${remark}`.trimEnd();
  }

  #gauge({ bytes, mood }: Row, total: number): string {
    const share = total === 0 ? 1 : Math.min(1, bytes / total);
    // Byte counts shown by a command are rounded.
    const full = share > 0.995 ? this.#bar : Math.floor(share * this.#bar);
    const { flow, good, bad, dim } = this.paint;
    const colour = { good, bad, plain: flow }[mood];
    return colour('━'.repeat(full)) + dim('╌'.repeat(this.#bar - full));
  }

  /** Width of a bar, which leaves room for the notes. */
  get #bar(): number {
    const { columns = 100 } = this.output;
    return Math.max(8, Math.min(32, columns - 2 - NAME_WIDTH - 1 - 2 * COUNT_WIDTH - 2 - NOTE_WIDTH));
  }

  get #seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }
}

/** Widths of branch and name, of a number, and of a note, in columns. */
const NAME_WIDTH = 20;
const COUNT_WIDTH = 10;
const NOTE_WIDTH = 24;

function count(datagrams: number | undefined): string {
  return datagrams === undefined ? '' : datagrams.toLocaleString('en');
}

/** Removes control characters, which must not reach the terminal. */
function printable(text: string): string {
  return text
    .replace(/\r$/, '')
    .replace(/[^\x20-\x7e]/g, '.')
    .slice(0, 75);
}

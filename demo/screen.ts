import { showBytes } from 'mproxy-base';
import type { Chain } from './chain.js';
import type { Hop } from './hop.js';
import { type Part, picture, type Row } from './picture.js';

/** What is shown of a running chain. */
export interface Screen {
  /** A hop was started. */
  hop(hop: Hop): void;
  /** The chain stands: from now on it is shown. */
  show(chain: Chain): void;
  /** Shows it for the last time, with what every reader got, where there is that to tell. */
  end(finished: boolean): void;
}

/** A picture redrawn in place on a terminal with room for it; else lines, once a second. */
export function openScreen(output: NodeJS.WriteStream): Screen {
  const { isTTY, columns = 0, rows = 0 } = output;
  const roomy = isTTY && columns >= 72 && rows >= 20 && process.env.TERM !== 'dumb';
  const paint = isTTY && !process.env.NO_COLOR ? COLOURS : NO_COLOURS;
  return new Live(output, paint, roomy);
}

type Paint = Record<'bold' | 'dim' | 'good' | 'bad' | 'flow', (text: string) => string>;

const sgr = (code: number) => (text: string) => `\x1b[${code}m${text}\x1b[0m`;
const same = (text: string) => text;
const COLOURS: Paint = { bold: sgr(1), dim: sgr(2), good: sgr(32), bad: sgr(31), flow: sgr(36) };
const NO_COLOURS: Paint = { bold: same, dim: same, good: same, bad: same, flow: same };

/** No cursor, and lines that are cut at the right edge instead of wrapped; and back. */
const QUIET = '\x1b[?25l\x1b[?7l';
const NORMAL = '\x1b[?7h\x1b[?25h';

const TITLE = 'The four programs as one chain, on the loopback interface alone:';

class Live implements Screen {
  #chain: Chain | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hops = 0;
  #height = 0;
  #started = 0;

  constructor(
    private readonly output: NodeJS.WriteStream,
    private readonly paint: Paint,
    /** Whether the picture is drawn again and again. */
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
    if (this.redraws) this.output.write(QUIET);
    this.#timer = setInterval(() => this.#update(), this.redraws ? 100 : 1000);
  }

  end(finished: boolean): void {
    clearInterval(this.#timer);
    if (!this.#chain) return;
    if (this.redraws || finished) this.#draw(this.#chain, finished);
    if (this.redraws) this.output.write(NORMAL);
    this.#chain = undefined;
  }

  #update(): void {
    this.#chain!.poll();
    if (this.redraws) this.#draw(this.#chain!, false);
    else this.#list(this.#chain!);
  }

  /** A line for every hop. */
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
      `${time.padEnd(NAME + 1 + this.#bar)}${'datagrams'.padStart(COUNT)}${'bytes'.padStart(COUNT)}`,
    );
  }

  #line(part: Part, total: number): string {
    const { paint } = this;
    if (typeof part === 'string') return part.startsWith('│') ? paint.dim(part) : paint.bold(part);
    const { branch, name, bytes, datagrams, note, mood } = part;
    const label = paint.dim(branch) + (datagrams === undefined ? name : paint.bold(name));
    const gap = ' '.repeat(Math.max(1, NAME + 1 - branch.length - name.length));
    const counts = `${count(datagrams).padStart(COUNT)}${showBytes(bytes).padStart(COUNT)}`;
    const mark = { good: '✔ ', bad: '✘ ', plain: '' }[mood];
    const told = mood === 'plain' ? note : paint[mood](mark + note);
    return `${label}${gap}${this.#gauge(part, total)}${counts}  ${told}`.trimEnd();
  }

  #gauge({ bytes, mood }: Row, total: number): string {
    const share = total === 0 ? 1 : Math.min(1, bytes / total);
    // What a command shows is rounded.
    const full = share > 0.995 ? this.#bar : Math.floor(share * this.#bar);
    const { flow, good, bad, dim } = this.paint;
    const colour = { good, bad, plain: flow }[mood];
    return colour('━'.repeat(full)) + dim('╌'.repeat(this.#bar - full));
  }

  /** Wide enough to be seen, narrow enough that the notes fit beside it. */
  get #bar(): number {
    const { columns = 100 } = this.output;
    return Math.max(8, Math.min(32, columns - 2 - NAME - 1 - 2 * COUNT - 2 - NOTE));
  }

  get #seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }
}

/** Columns for the branches with the names, for a number, and for what there is to say. */
const NAME = 20;
const COUNT = 10;
const NOTE = 24;

function count(datagrams: number | undefined): string {
  return datagrams === undefined ? '' : datagrams.toLocaleString('en');
}

/** Text that does nothing to a terminal. */
function printable(text: string): string {
  return text
    .replace(/\r$/, '')
    .replace(/[^\x20-\x7e]/g, '.')
    .slice(0, 75);
}

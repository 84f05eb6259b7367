import { showBytes } from 'mproxy-base';
import type { Chain } from './chain.js';
import type { Frame, View } from './demonstration.js';
import type { Paint } from './paint.js';
import { type Part, picture, type Row } from './picture.js';

/** The chain as a picture and as lines. */
export function chainView(chain: Chain): View {
  return { poll: () => chain.poll(), draw: (frame) => draw(chain, frame), list: () => list(chain) };
}

/** A line for every hop and reader. */
function list(chain: Chain): string[] {
  const rows = picture(chain, false).filter((part) => typeof part !== 'string');
  return rows.map(({ name, bytes, datagrams, note }) => {
    const counts = `${count(datagrams).padStart(9)} ${datagrams === undefined ? ' '.repeat(9) : 'datagrams'}`;
    return `${name.padEnd(16)}${counts}  ${showBytes(bytes).padStart(9)}  ${note}`.trimEnd();
  });
}

function draw(chain: Chain, { paint, columns, seconds, finished }: Frame): string[] {
  const total = chain.feed.size ?? chain.sent.bytes;
  const width = barWidth(columns);
  return [
    heading(paint, seconds, width),
    ...picture(chain, finished).map((part) => drawPart(paint, part, total, width)),
    '',
    paint.dim(`last line at reader 5  ${printable(chain.readers.at(-1)!.tally.lastLine)}`),
  ];
}

function heading(paint: Paint, seconds: number, width: number): string {
  const time = `${seconds.toFixed(1)} s`.padEnd(NAME_WIDTH + 1 + width);
  return paint.dim(`${time}${'datagrams'.padStart(COUNT_WIDTH)}${'bytes'.padStart(COUNT_WIDTH)}`);
}

function drawPart(paint: Paint, part: Part, total: number, width: number): string {
  if (typeof part === 'string') return part.startsWith('│') ? paint.dim(part) : paint.bold(part);
  const { branch, name, bytes, datagrams, note, mood } = part;
  const label = paint.dim(branch) + (datagrams === undefined ? name : paint.bold(name));
  const gap = ' '.repeat(Math.max(1, NAME_WIDTH + 1 - branch.length - name.length));
  const counts = `${count(datagrams).padStart(COUNT_WIDTH)}${showBytes(bytes).padStart(COUNT_WIDTH)}`;
  const mark = { good: '✔ ', bad: '✘ ', plain: '' }[mood];
  const remark = mood === 'plain' ? note : paint[mood](mark + note);
  return `${label}${gap}${gauge(paint, part, total, width)}${counts}  ${remark}`.trimEnd();
}

function gauge({ flow, good, bad, dim }: Paint, { bytes, mood }: Row, total: number, width: number): string {
  const share = total === 0 ? 1 : Math.min(1, bytes / total);
  // Byte counts shown by a command are rounded.
  const full = share > 0.995 ? width : Math.floor(share * width);
  const colour = { good, bad, plain: flow }[mood];
  return colour('━'.repeat(full)) + dim('╌'.repeat(width - full));
}

/** Width of a bar, which leaves room for the notes. */
function barWidth(columns: number): number {
  return Math.max(8, Math.min(32, columns - 2 - NAME_WIDTH - 1 - 2 * COUNT_WIDTH - 2 - NOTE_WIDTH));
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

/** How text is marked on a terminal. */
export type Paint = Record<'bold' | 'dim' | 'good' | 'bad' | 'flow', (text: string) => string>;

const sgr = (code: number) => (text: string) => `\x1b[${code}m${text}\x1b[0m`;
const same = (text: string) => text;
const COLOURS: Paint = { bold: sgr(1), dim: sgr(2), good: sgr(32), bad: sgr(31), flow: sgr(36) };
const NO_COLOURS: Paint = { bold: same, dim: same, good: same, bad: same, flow: same };

/** Colours on a terminal, unless NO_COLOR is set. */
export function paintFor({ isTTY }: NodeJS.WriteStream): Paint {
  return isTTY && !process.env.NO_COLOR ? COLOURS : NO_COLOURS;
}

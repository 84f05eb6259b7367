import { fstatSync, writeSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { standardStream } from 'mproxy-flow/endpoints/file/terminal';
import { happened, MESSAGES_DROPPED, type Message, PROGRESS } from './events.js';
import { formatMessage, type LogFormat } from './log-format.js';

/** Maximum bytes queued for a reader of stderr; beyond it messages are only counted. */
const QUEUE_LIMIT = 64 * 1024;
/** How long to wait at exit until the last messages are read, in milliseconds. */
const FLUSH_MS = 250;
/** Goes up some lines, and to the start of a line; clears from there to the end of the screen (ECMA-48: CUU, CR, ED). */
const up = (lines: number) => (lines > 0 ? `\x1b[${lines}A` : '');
const CLEAR = '\r\x1b[J';

/**
 * Messages of a command on stderr. Nothing waits for the reader: a stopped terminal (Ctrl-S), or an unread
 * pipe.
 */
export class Messages {
  /** Whether stderr is a terminal that lines are drawn on. */
  readonly terminal: boolean;
  readonly #stream = standardStream(2);
  #dropped = 0;
  #closed = false;
  /** Whether stderr is a file, to which writes never block. */
  readonly #isFile: boolean;
  /** Whether the file has an incomplete line. */
  #partial = false;
  /** What is drawn below the messages of a terminal: whole lines, then one without an end. */
  #table: readonly string[] = [];
  #bar = '';

  constructor(
    private readonly command: string,
    private readonly format: LogFormat,
  ) {
    this.terminal = format === 'text' && isatty(2);
    // If the reader goes away (2>&1 | head), the messages end, not the program.
    this.#stream.on('error', () => {
      this.#closed = true;
    });
    // bigint, since realpathSync of Node 20 takes the last numeric status for that of a directory it has
    // cached, and stops at a pipe (lib/fs.js, statValues): modules would be loaded twice, under two names.
    this.#isFile = fstatSync(2, { bigint: true }).isFile();
  }

  /** Writes a message on a line of its own. */
  readonly say = (message: Message): void => {
    if (this.#stream.writableLength > QUEUE_LIMIT) {
      this.#dropped++;
      return;
    }
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.#line(happened(MESSAGES_DROPPED, { count: dropped }));
    this.#line(message);
  };

  /** Draws over the previously drawn line. Skipped while the reader is behind. */
  draw(text: string, progress: { bytes: number; total: number | undefined }): void {
    if (this.#stream.writableLength > 0) return;
    if (this.terminal) this.#redraw(this.#table, fit(text));
    else if (this.format === 'text') this.#write(`${text}\n`);
    else this.say(happened(PROGRESS, { ...progress, text }));
  }

  /** Ends the drawn line. */
  drawn(): void {
    if (this.terminal) this.#write('\n');
    this.#bar = '';
    this.#table = [];
  }

  /** Draws lines, made for a width, over those drawn before, on a terminal. Skipped while the reader is behind. */
  drawTable(linesOf: (width: number) => readonly string[]): void {
    if (this.#stream.writableLength > 0) return;
    const lines = linesOf(widthOfTerminal());
    const room = Math.max(1, (process.stderr.rows || 24) - 2);
    const hidden = lines.length - room;
    const shown = hidden > 0 ? [...lines.slice(0, room - 1), `... and ${hidden + 1} more`] : lines;
    this.#redraw(shown.map(fit), this.#bar);
  }

  /** Resolves when everything was written, or after {@link FLUSH_MS}. */
  async shown(): Promise<void> {
    if (this.#stream.writableLength === 0) return;
    const written = new Promise((resolve) => this.#stream.write('', resolve));
    await Promise.race([written, wait(FLUSH_MS)]);
  }

  #line(message: Message): void {
    const line = formatMessage(this.format, this.command, message);
    if (this.terminal) this.#redraw(this.#table, this.#bar, line);
    else this.#write(line);
  }

  #redraw(table: readonly string[], bar: string, message = ''): void {
    const lines = table.map((line) => `${line}\n`).join('');
    this.#write(`${up(this.#table.length)}${CLEAR}${message}${lines}${bar}`);
    this.#table = table;
    this.#bar = bar;
  }

  #write(text: string): void {
    if (this.#isFile) this.#append(text);
    else if (!this.#closed) this.#stream.write(text);
  }

  /** A full disk may have room again later: refused messages are counted. Node's stream would stay failed. */
  #append(text: string): void {
    const bytes = Buffer.from(this.#partial ? `\n${text}` : text);
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(2, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      this.#dropped++;
    }
    if (at > 0) this.#partial = at < bytes.length;
  }
}

/** A wrapped line could not be drawn over. */
function fit(text: string): string {
  return text.slice(0, widthOfTerminal());
}

/** The longest line that does not wrap. A terminal that does not know its size says 0. */
function widthOfTerminal(): number {
  return (process.stderr.columns || 80) - 1;
}

import { fstatSync, writeSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { showCount } from 'mproxy-base';
import { standardStream } from 'mproxy-flow/endpoints/file/terminal';

/** What waits for a reader of stderr at most, in bytes: then messages are counted instead. */
const QUEUE_LIMIT = 64 * 1024;
/** How long the last messages wait for their reader, in milliseconds. */
const PATIENCE_MS = 250;
/** To the start of the line, which is cleared (ECMA-48: CR, EL). */
const CLEAR = '\r\x1b[K';

/**
 * What a command says, on stderr. Nothing ever waits for its reader: not for a terminal that is stopped (Ctrl-S), nor for
 * a pipe that nobody reads.
 */
export class Messages {
  /** Whether a person sees it. */
  readonly terminal = isatty(2);
  readonly #stream = standardStream(2);
  #dropped = 0;
  #gone = false;
  /** A file, which never waits. */
  readonly #isFile: boolean;
  /** The file took a part of a line. */
  #cut = false;

  constructor(private readonly command: string) {
    // A reader of the messages that went away (2>&1 | head) ends the messages, not the program.
    this.#stream.on('error', () => {
      this.#gone = true;
    });
    // Not by numbers: realpathSync of Node 20 takes the last status by numbers for that of a folder that it knows, and
    // ends at a pipe (lib/fs.js, statValues); modules would then be loaded twice, under two names.
    this.#isFile = fstatSync(2, { bigint: true }).isFile();
  }

  /** Says a line of text. */
  readonly say = (text: string): void => {
    if (this.#stream.writableLength > QUEUE_LIMIT) {
      this.#dropped++;
      return;
    }
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.#line(`${showCount(dropped, 'message')} not shown: nobody took them`);
    this.#line(text);
  };

  /** Draws over the line that was drawn before. Left out while its reader is behind: the next one tells more. */
  draw(text: string): void {
    if (this.#stream.writableLength > 0) return;
    // A line that wraps could not be drawn over.
    const fits = text.slice(0, (process.stderr.columns ?? 80) - 1);
    this.#write(this.terminal ? `${CLEAR}${fits}` : `${text}\n`);
  }

  /** Ends what was drawn. */
  drawn(): void {
    if (this.terminal) this.#write('\n');
  }

  /** Resolves when everything was shown, or its reader had its time. */
  async shown(): Promise<void> {
    if (this.#stream.writableLength === 0) return;
    const written = new Promise((resolve) => this.#stream.write('', resolve));
    await Promise.race([written, wait(PATIENCE_MS)]);
  }

  #line(text: string): void {
    // On a terminal a progress bar may stand on the line.
    this.#write(`${this.terminal ? CLEAR : ''}${this.command}: ${text}\n`);
  }

  #write(text: string): void {
    if (this.#isFile) this.#append(text);
    else if (!this.#gone) this.#stream.write(text);
  }

  /** A full disk may have room again: what it did not take is counted. Node's stream would take nothing ever after. */
  #append(text: string): void {
    const bytes = Buffer.from(this.#cut ? `\n${text}` : text);
    let at = 0;
    try {
      while (at < bytes.length) at += writeSync(2, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      this.#dropped++;
    }
    if (at > 0) this.#cut = at < bytes.length;
  }
}

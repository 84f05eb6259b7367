import { type Name, type Running, start } from '../support/command.js';
import { until } from '../support/wait.js';

export type Test = Parameters<typeof start>[0];

/** Lines that say which they are, `count` of them from one number on. */
export function numbered(from: number, count: number, word = 'line'): string {
  return Array.from({ length: count }, (_, i) => `${word} ${from + i}\n`).join('');
}

/** A client that sends by mold what the test gives it, until it is told the end. */
export class Feed {
  readonly client: Running;
  text = '';
  #next = 1;

  constructor(
    t: Test,
    to: string,
    flags: string[] = [],
    private readonly word = 'line',
  ) {
    this.client = start(t, 'client', [...['--path', '-', '--server-addr', to, '--frame', 'mold', ...flags]]);
  }

  /** Sends the next lines. */
  send(count: number): void {
    const lines = numbered(this.#next, count, this.word);
    this.#next += count;
    this.text += lines;
    this.client.child.stdin?.write(lines);
  }

  /** Its session's name, once it runs. */
  async session(): Promise<string> {
    await this.client.says(/session (\S+) to/);
    return /session (\S+) to/.exec(this.client.stderr)![1]!;
  }

  end(): Promise<number | null> {
    this.client.child.stdin?.end();
    return this.client.exited;
  }
}

/** A command that receives by mold, and its stdout as text. */
export function receive(t: Test, name: Name, flags: string[]): Running {
  return start(t, name, [...flags, '--frame', 'mold']);
}

export async function has(running: Running, text: string, ms?: number): Promise<void> {
  const end = () => String(running.stdout.subarray(-text.length));
  await until(`stdout ends with ${JSON.stringify(text)}`, () => end() === text, ms).catch((error) => {
    throw new Error(`${error.message}; stderr: ${running.stderr}`);
  });
}

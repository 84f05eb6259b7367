import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { until } from './until.js';

const START_MS = 15_000;
const STOP_MS = 5_000;
/** Report interval of the counters, in seconds. */
const STATS = ['--stats', '0.2'];

const UNITS: Record<string, number> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };

/** One of the commands as a process; its state is read from its stderr. */
export class Hop {
  /** Command line, for display. */
  readonly command: string;
  datagrams = 0;
  /** Rounded as the command displays it. */
  bytes = 0;
  /** Connected TCP and TLS clients. */
  clients = 0;
  /** Notices of loss, without the command's name. */
  readonly losses: string[] = [];
  /** How it ended, unless with status 0. */
  failure: string | undefined;
  readonly #child: ChildProcessByStdio<Writable, null, Readable>;
  readonly #ended: Promise<void>;
  #running = true;
  #notices = '';
  #line = '';

  /**
   * @param name `client`, `server`, `forward`, `reverse` or `gateway`
   * @param folder working directory
   */
  constructor(
    readonly name: string,
    args: string[],
    folder: string,
  ) {
    this.command = [`mproxy-${name}`, ...args].join(' ');
    const launcher = fileURLToPath(new URL(`../../bin/mproxy-${name}`, import.meta.url));
    this.#child = spawn(process.execPath, [launcher, ...args, ...STATS], {
      cwd: folder,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const kill = () => this.#child.kill('SIGKILL');
    // The hops must not outlive this program.
    process.once('exit', kill);
    this.#child.stdin.on('error', () => undefined);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#ended = new Promise((resolve) => {
      const end = (status: number | null, signal: string | null) => {
        this.#running = false;
        process.off('exit', kill);
        if (status !== 0) this.failure = signal ? `ended by ${signal}` : `ended with ${status}`;
        resolve();
      };
      this.#child.once('close', end);
      this.#child.once('error', () => end(1, null));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#running;
  }

  get lastWords(): string {
    return this.#notices.trimEnd().split('\n').at(-1)!;
  }

  get input(): Writable {
    return this.#child.stdin;
  }

  /** Waits until it listens on `count` addresses. @returns their ports, in the order of the notices */
  async listening(count: number): Promise<number[]> {
    const ports = () =>
      [...this.#notices.matchAll(/listening: .*?:(\d+)(?=\s)/g)].map(([, port]) => Number(port));
    await until(() => ports().length >= count || !this.#running, START_MS);
    if (ports().length >= count) return ports();
    throw new Error(`${this.command}: ${this.#notices.trim() || 'it did not come up in time'}`);
  }

  /** Waits for a notice. @returns the first group of the pattern */
  async says(pattern: RegExp): Promise<string> {
    await until(() => pattern.test(this.#notices) || !this.#running, START_MS);
    const [found, group] = pattern.exec(this.#notices) ?? [];
    if (found !== undefined) return group ?? '';
    throw new Error(`${this.command}: ${this.#notices.trim() || 'it did not come up in time'}`);
  }

  /** Waits until `count` clients are connected. */
  async served(count: number): Promise<void> {
    if (await until(() => this.clients >= count, START_MS)) return;
    throw new Error(`${this.command}: only ${this.clients} of ${count} readers were accepted in time`);
  }

  /** Waits up to `ms` for it to end. */
  async end(ms: number): Promise<void> {
    await until(() => !this.#running, ms);
  }

  /** Sends SIGTERM, on which it flushes its data and ends; SIGKILL after a timeout. */
  async stop(): Promise<void> {
    if (this.#running) this.#child.kill('SIGTERM');
    const killTimer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await this.#ended;
    clearTimeout(killTimer);
  }

  #read(text: string): void {
    const lines = (this.#line + text).split('\n');
    this.#line = lines.pop()!;
    for (const line of lines) {
      const [, topic, rest = ''] = /^mproxy-\w+: ([a-z ]+): (.*)$/.exec(line) ?? [];
      if (topic === 'stats') this.#count(rest);
      else this.#notices += `${line}\n`;
      if (topic === 'lost in all') this.losses.push(rest);
    }
  }

  /** `SOURCE: 12 datagrams 1.2 kB -> SINK: 12 datagrams 1.2 kB, 3 clients now 3 ever -> ...` */
  #count(line: string): void {
    const [, datagrams, amount, unit] = /: ([\d,]+) datagrams? ([\d.]+) ([kMG]?B)/.exec(line) ?? [];
    if (datagrams === undefined || unit === undefined) return;
    this.datagrams = Number(datagrams.replaceAll(',', ''));
    this.bytes = Number(amount) * UNITS[unit]!;
    const clients = [...line.matchAll(/ ([\d,]+) clients? now/g)];
    this.clients = clients.reduce((sum, [, now = '0']) => sum + Number(now.replaceAll(',', '')), 0);
  }
}

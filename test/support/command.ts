import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { until } from './wait.js';

export type Name = 'client' | 'server' | 'forward' | 'reverse' | 'gateway';

/** The launcher of a command, as a user runs it. */
export function launcher(name: Name): string {
  return fileURLToPath(new URL(`../../../bin/mproxy-${name}`, import.meta.url));
}

/** What `npm run package` made of a command. */
export function executable(name: Name): string {
  return fileURLToPath(new URL(`../../../dist/mproxy-${name}`, import.meta.url));
}

export interface RunOptions {
  /** A network namespace to run in. */
  namespace?: string;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Flags of Node itself. */
  node?: string[];
}

/** Starts one of the commands; with PACKAGED, its executable. The test ends it, if it has not ended by itself. */
export function start(t: Test, name: Name, args: string[], options: RunOptions = {}): Running {
  const [file, ...rest] = command(name, args, options.node);
  return startProgram(t, file!, rest, options);
}

/** The program and arguments that run a command. @param node flags of Node itself */
export function command(name: Name, args: string[], node?: string[]): string[] {
  const given = [...engine(args), ...args];
  if (process.env.PACKAGED && !node) return [executable(name), ...given];
  return [process.execPath, ...(node ?? []), launcher(name), ...given];
}

/** The whole suite runs on one engine after the other: ENGINE names it, where a test does not. */
function engine(args: string[]): string[] {
  const { ENGINE } = process.env;
  return ENGINE && args.length > 0 && !args.includes('--engine') ? ['--engine', ENGINE] : [];
}

/** Starts any program, in the same way. */
export function startProgram(t: Test, file: string, args: string[], options: RunOptions = {}): Running {
  const { namespace, cwd, env } = options;
  const inside = namespace ? ['ip', 'netns', 'exec', namespace] : [];
  // The test runner has every child load it first (NODE_OPTIONS); a command runs as it does for a user.
  const [first, ...rest] = [...inside, 'env', '-u', 'NODE_OPTIONS', file, ...args];
  const running = new Running(spawn(first!, rest, { cwd, env: env ?? process.env }));
  t.teardown(() => running.kill());
  return running;
}

/** A process with everything that it said. */
export class Running {
  stdout = Buffer.alloc(0);
  stderr = '';
  status: number | null = null;
  signal: NodeJS.Signals | null = null;
  readonly exited: Promise<number | null>;

  constructor(readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout = Buffer.concat([this.stdout, chunk]);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk;
    });
    child.stdin?.on('error', () => undefined);
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status, signal) => {
        this.status = status;
        this.signal = signal;
        resolve(status);
      });
    });
  }

  /** It ended, and all that it said was read. */
  get ended(): boolean {
    return this.status !== null || this.signal !== null;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits until stderr has a text or matches a pattern. */
  async says(pattern: RegExp | string, ms?: number): Promise<void> {
    const found = () =>
      typeof pattern === 'string' ? this.stderr.includes(pattern) : pattern.test(this.stderr);
    await until(`stderr has ${pattern}`, () => found() || this.ended, ms).catch((error) => {
      throw new Error(`${error.message}; it has: ${this.stderr}`);
    });
    if (!found()) throw new Error(`ended without ${pattern}: ${this.stderr}`);
  }

  /** The port that a notice `listening: ... HOST:PORT` tells; the n-th such notice. */
  async port(nth = 0): Promise<number> {
    const ports = () =>
      [...this.stderr.matchAll(/listening: .*?:(\d+)(?: |$)/gm)].map((match) => Number(match[1]));
    await until(`a listening notice, number ${nth + 1}`, () => ports().length > nth || this.ended);
    const port = ports()[nth];
    if (port === undefined) throw new Error(`it does not listen: ${this.stderr}`);
    return port;
  }

  /** Asks it to stop, and resolves with its exit status. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }

  async kill(): Promise<void> {
    if (this.running) this.child.kill('SIGKILL');
    await this.exited.catch(() => undefined);
  }
}

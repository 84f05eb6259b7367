import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from './contestant.js';

const GRACE_MS = 3000;
const running = new Set<Program>();

/** Resources used by a process and its children. */
export interface Usage {
  /** Seconds of CPU. */
  cpu: number;
  /** Memory in bytes: its peak (VmHWM), and now (VmRSS). */
  rss: number;
  resident: number;
  threads: number;
}

/** A process in its own process group, so that it is killed with its children. */
export class Program {
  readonly #child: ChildProcess;
  readonly ended: Promise<unknown>;
  #last = '';

  constructor(command: Command) {
    const [file, ...args] = command.argv;
    const input = command.stdin === undefined ? 'ignore' : openSync(command.stdin, 'r');
    const output = command.stdout === undefined ? 'ignore' : openSync(command.stdout, 'a');
    this.#child = spawn(file!, args, { detached: true, stdio: [input, output, 'pipe'] });
    for (const fd of [input, output]) if (typeof fd === 'number') closeSync(fd);
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#last = chunk.toString().trim().split('\n').at(-1) ?? '';
    });
    this.ended = once(this.#child, 'exit').catch(() => undefined);
    running.add(this);
  }

  /** undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The last line of its stderr. */
  get lastWords(): string {
    return this.#last;
  }

  usage(): Usage {
    const total = { cpu: 0, rss: 0, resident: 0, threads: 0 };
    const left = this.#child.pid === undefined ? [] : [this.#child.pid];
    for (let pid = left.pop(); pid !== undefined; pid = left.pop()) {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        total.rss += kilobytes('VmHWM', status) * 1024;
        total.resident += kilobytes('VmRSS', status) * 1024;
        for (const thread of readdirSync(`/proc/${pid}/task`)) {
          total.threads++;
          const at = `/proc/${pid}/task/${thread}`;
          // The first field is CPU time in nanoseconds; `stat` has only hundredths of a second.
          total.cpu += Number(readFileSync(`${at}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
          left.push(...readFileSync(`${at}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
        }
      } catch (error) {
        // It has ended.
        if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      }
    }
    return total;
  }

  async stop(): Promise<void> {
    this.#signal('SIGTERM');
    const killTimer = setTimeout(() => this.#signal('SIGKILL'), GRACE_MS);
    if (this.alive) await this.ended;
    clearTimeout(killTimer);
    this.kill();
  }

  /** Kills the remaining processes of the group. */
  kill(): void {
    this.#signal('SIGKILL');
    running.delete(this);
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** A figure of /proc/PID/status; 0 of a process that has ended. */
function kilobytes(name: string, status: string): number {
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
}

/** Kills all remaining processes. */
export function killAll(): void {
  for (const program of running) program.kill();
}

/** One of the bench's own programs, whose last line of stdout is its result as JSON. */
export class Helper {
  readonly #child: ChildProcess;
  readonly findings: Promise<Record<string, number>>;
  #stdout = '';

  constructor(...argv: (string | number)[]) {
    const [file, ...args] = argv.map(String);
    this.#child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#stdout += chunk;
    });
    this.findings = this.#finish([basename(file!), ...args].join(' '));
    // Awaited later, or never if the measurement failed for another reason.
    this.findings.catch(() => undefined);
  }

  says(what: string): boolean {
    return this.#stdout.includes(what);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #finish(what: string): Promise<Record<string, number>> {
    await once(this.#child, 'close');
    const line = this.#stdout.trim().split('\n').at(-1);
    if (this.#child.exitCode !== 0 || !line) throw new Error(`${what}: failed`);
    return JSON.parse(line);
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { reason } from 'mproxy-base';
import { info, type Notice, noticeOf } from 'mproxy-flow/events';

/** A line that a development server wrote to stdout or stderr. */
export const RUN_OUTPUT = info('run_output', '{command}: {line}');
/** A development server has ended by itself. */
export const RUN_ENDED = info('run_ended', '--run: {command}: ended with {how}');

/** How long servers have to end after SIGTERM, and how often that is looked at, in milliseconds. */
const STOP_MS = 5000;
const POLL_MS = 20;
/** Those that end a command (see Signals in mproxy-command). */
const SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const ON_WINDOWS = process.platform === 'win32';

/** The commands of `--run`. Each runs in a shell, in a process group of its own, so that a stop reaches all that it started. */
export class DevServers {
  readonly #children: ChildProcess[];
  #stopping = false;

  /** Starts them. */
  constructor(
    commands: readonly string[],
    private readonly onNotice: (notice: Notice) => void,
  ) {
    this.#children = commands.map((command) => this.#start(command));
  }

  /** Stops them: by SIGTERM, after five seconds by SIGKILL. Resolves when none is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#signal('SIGTERM');
    for (const until = performance.now() + STOP_MS; performance.now() < until; await wait(POLL_MS))
      if (!this.#signal(0)) break;
    this.kill();
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }

  /** The program stops: from now on a signal ends it at once, and these are not to outlive it. Until {@link stop} resolves. */
  guard(): void {
    for (const signal of SIGNALS) process.prependListener(signal, this.#onSignal);
  }

  readonly #onSignal = (): void => this.kill();

  /** Ends them at once. */
  kill(): void {
    this.#stopping = true;
    this.#signal('SIGKILL');
  }

  #start(command: string): ChildProcess {
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    const child = spawn(command, { shell: true, detached: !ON_WINDOWS, stdio });
    for (const input of [child.stdout, child.stderr])
      createInterface({ input }).on('line', (line) => this.onNotice(noticeOf(RUN_OUTPUT, { command, line })));
    child.on('error', (error) => this.#ended(command, reason(error)));
    child.on('exit', (status, signal) => this.#ended(command, signal ?? `status ${status}`));
    return child;
  }

  #ended(command: string, how: string): void {
    if (!this.#stopping) this.onNotice(noticeOf(RUN_ENDED, { command, how }));
  }

  /** Signals all groups; 0 only looks. @returns whether any process is left */
  #signal(signal: NodeJS.Signals | 0): boolean {
    return this.#children.filter((child) => signalGroup(child, signal)).length > 0;
  }
}

/** @returns whether there was anything to signal */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false;
  // A shell that ended may have left others of its group behind.
  if (ON_WINDOWS) return child.exitCode === null && child.kill(signal);
  try {
    return process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

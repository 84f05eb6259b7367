import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

interface Told {
  open?: number;
  answered?: number;
  closed?: number;
}

/** Kept connections to a port of 127.0.0.1, in processes of their own (idle-clients.ts), until the test ends. */
export class IdleClients {
  readonly #all: { child: ChildProcess; told: Told }[];

  /** @param request of each, which is answered */
  constructor(t: Test, port: number, count: number, processes: number, request: string) {
    const file = fileURLToPath(new URL('idle-clients.js', import.meta.url));
    const env = { ...process.env, NODE_OPTIONS: '' };
    this.#all = Array.from({ length: processes }, () => {
      const child = fork(file, [String(port), String(count / processes), request], { env });
      t.teardown(() => child.kill('SIGKILL'));
      const told: Told = {};
      child.on('message', (message) => Object.assign(told, message));
      return { child, told };
    });
  }

  /** Those that were answered once. */
  get open(): number {
    return this.#sum('open');
  }

  /** Those that were answered since {@link ask}. */
  get answered(): number {
    return this.#sum('answered');
  }

  get closed(): number {
    return this.#sum('closed');
  }

  /** Each sends its request again. */
  ask(): void {
    for (const { child } of this.#all) child.send('ask');
  }

  /** Ends the processes, and so the connections. */
  end(): void {
    for (const { child } of this.#all) child.kill('SIGKILL');
  }

  #sum(what: keyof Told): number {
    return this.#all.reduce((total, { told }) => total + (told[what] ?? 0), 0);
  }
}

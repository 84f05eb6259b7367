import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { until } from '../support/wait.js';
import type { Kind } from './idle-clients.js';

interface Clients {
  child: ChildProcess;
  told: { open?: number; answered?: number; closed?: number };
}

/** Connections of some processes, as one process has too few descriptors for both ends. */
export class ManyClients {
  readonly #all: Clients[] = [];

  constructor(private readonly t: Test) {}

  /** Opens connections, each of which is answered once, and keeps them. @param kind default: HTTP without TLS */
  async open(port: number, count: number, { processes = 1, kind = {} as Kind } = {}): Promise<void> {
    const whole = this.sum('open') + count;
    for (let i = 0; i < processes; i++) this.#fork(port, count / processes, kind);
    await until('all are open', () => this.sum('open') === whole, 120_000);
  }

  /** Has each send once more, and waits for the answers; of a tunnel they must be what it sent. */
  async ask(): Promise<void> {
    for (const { child } of this.#all) child.send('ask');
    await until('all are answered', () => this.sum('answered') === this.sum('open'), 60_000);
  }

  /** Ends the processes. */
  close(): void {
    for (const { child } of this.#all) child.kill('SIGKILL');
  }

  sum(what: keyof Clients['told']): number {
    return this.#all.reduce((total, { told }) => total + (told[what] ?? 0), 0);
  }

  #fork(port: number, count: number, kind: Kind): void {
    const file = fileURLToPath(new URL('idle-clients.js', import.meta.url));
    const env = { ...process.env, NODE_OPTIONS: '' };
    const child = fork(file, [String(port), String(count), JSON.stringify(kind)], { env });
    this.t.teardown(() => child.kill('SIGKILL'));
    const clients: Clients = { child, told: {} };
    child.on('message', (message) => Object.assign(clients.told, message));
    this.#all.push(clients);
  }
}

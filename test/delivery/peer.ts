import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { type Running, type RunOptions, startProgram } from '../support/command.js';
import { until } from '../support/wait.js';

/** Why the peer cannot run here; false where it can. For `skip`. */
export const noPython: string | false = (() => {
  const { error, status } = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']);
  if (error) return 'python3 is not installed';
  return status === 0 ? false : 'python3 is older than 3.8';
})();

const PROGRAM = fileURLToPath(new URL('../../../test/delivery/peer.py', import.meta.url));

/** Starts the peer in one of its roles, and waits until its sockets are open. */
export async function startPeer(
  t: Test,
  role: 'send' | 'receive',
  args: string[],
  options?: RunOptions,
): Promise<Peer> {
  const peer = new Peer(startProgram(t, 'python3', [PROGRAM, role, ...args], options));
  await until('the peer is ready', () => peer.lines.length > 0 || !peer.running.running);
  if (peer.lines.length === 0) throw new Error(`the peer ended: ${peer.running.stderr}`);
  return peer;
}

export class Peer {
  constructor(readonly running: Running) {}

  /** What it has printed: an object when it was ready, another at its end. */
  get lines(): Record<string, unknown>[] {
    const whole = String(this.running.stdout).split('\n').slice(0, -1);
    return whole.map((line) => JSON.parse(line));
  }

  /** HOST:PORT that it listens on, or sends from and answers requests at. */
  get address(): string {
    return String(this.lines[0]?.address);
  }

  get port(): number {
    return Number(this.address.split(':')[1]);
  }

  /** Its exit status and its counts, when it has ended. */
  async end(): Promise<{ status: number | null; counts: Record<string, number> }> {
    const status = await this.running.exited;
    const [, counts] = this.lines;
    if (!counts) throw new Error(`the peer ended without its counts: ${this.running.stderr}`);
    return { status, counts: counts as Record<string, number> };
  }
}

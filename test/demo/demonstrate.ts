import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { type Running, type RunOptions, startProgram } from '../support/command.js';
import { until } from '../support/wait.js';

const START = fileURLToPath(new URL('../../demo/start.js', import.meta.url));

/** `npm start -- ...`, once it is built. */
export function demonstrate(t: Test, args: string[], options: RunOptions = {}): Running {
  const demo = startProgram(t, process.execPath, [...(options.node ?? []), START, ...args], options);
  // Killed outright, it could not end what it started.
  t.teardown(() => demo.running && demo.stop());
  return demo;
}

/** The processes that it says it started. */
export function hopsOf(demo: Running): number[] {
  return [...out(demo).matchAll(/^ +(\d+) +mproxy-/gm)].map(([, pid]) => Number(pid));
}

/** Waits for it to end, with a deadline. */
export async function exit(demo: Running): Promise<number | null> {
  await until('the demo ends', () => demo.ended, 90_000);
  return demo.status;
}

export function out({ stdout }: Running): string {
  return stdout.toString();
}

export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Asks a demonstration to end in its middle: it leaves neither programs nor files.
 * @param begun what it prints by then @param count of its programs
 */
export async function leavesNothing(t: Test, args: string[], begun: RegExp, count: number): Promise<void> {
  const folder = t.testdir();
  const demo = demonstrate(t, args, { env: { ...process.env, TMPDIR: folder } });
  await until('it has begun', () => begun.test(out(demo)), 60_000);
  t.equal(readdirSync(folder).length, 1, 'its files are in a folder of their own');
  const pids = hopsOf(demo);
  t.equal(pids.length, count);
  t.ok(pids.every(alive));
  t.equal(await demo.stop('SIGINT'), 1);
  t.strictSame(pids.filter(alive), []);
  t.strictSame(readdirSync(folder), []);
}

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

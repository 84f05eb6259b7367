import type { Test } from 'tap';
import { type Name, type Running, type RunOptions, start } from '../support/command.js';

/** Runs a command, with nothing on its stdin, to its end. */
export async function run(t: Test, name: Name, args: string[], options?: RunOptions): Promise<Running> {
  const running = start(t, name, args, options);
  running.child.stdin!.end();
  await running.exited;
  return running;
}

/** A command that must end by itself with this status, and one line on stderr that names the culprit. */
export async function fails(
  t: Test,
  name: Name,
  args: string[],
  status: 1 | 2,
  culprit: string,
  options?: RunOptions,
): Promise<string> {
  // Notices of what was opened before the failure are not what this is about.
  const ended = await run(t, name, [...args, '--quiet'], options);
  const what = `${name} ${args.join(' ')}`;
  t.equal(ended.status, status, `${what}: exit status; stderr: ${ended.stderr}`);
  t.match(ended.stderr, new RegExp(`^mproxy-${name}: [^\\n]+\\n$`), `${what}: one line that says who speaks`);
  t.ok(ended.stderr.includes(culprit), `${what}: names ${culprit}: ${ended.stderr.trim()}`);
  t.equal(ended.stdout.length, 0, `${what}: nothing on stdout`);
  return ended.stderr;
}

/** A user without privileges, that root can run a command as. */
export const NOBODY = 65_534;

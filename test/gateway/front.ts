import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Running, start } from '../support/command.js';

export interface Front {
  gateway: Running;
  port: number;
  url: string;
}

/** The command in front of an origin. @returns its URL */
export async function front(t: Test, upstream: string, ...more: string[]): Promise<string> {
  const gateway = start(t, 'gateway', [
    ...['--listen-addr', '127.0.0.1:0', '--route', `/=${upstream}`, '--workers', '1'],
    ...more,
  ]);
  return `http://127.0.0.1:${await gateway.port()}`;
}

/** The command with a document, in a folder. It listens on a free port, unless the document says otherwise. */
export async function configured(
  t: Test,
  { cwd = t.testdir(), args = [] }: { cwd?: string; args?: string[] },
  config: Record<string, unknown>,
): Promise<Front> {
  writeFileSync(join(cwd, 'g.json'), JSON.stringify({ listen: ['127.0.0.1:0'], thread_count: 1, ...config }));
  const gateway = start(t, 'gateway', ['--config', 'g.json', ...args], { cwd });
  const port = await gateway.port();
  return { gateway, port, url: `http://127.0.0.1:${port}` };
}

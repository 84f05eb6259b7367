import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { type Running, start, startProgram } from '../support/command.js';
import { type Host, noNamespaces } from '../support/namespace.js';
import { until } from '../support/wait.js';

/** Why packets cannot be filtered here; false where they can. For `skip`. */
export const noIptables: string | false = noNamespaces || missing('iptables') || missing('ip6tables');

/** Why a program cannot be used here; false where it can. */
export function missing(program: string): string | false {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return false;
  } catch {
    return `${program} is not installed`;
  }
}

/** A server on a host that writes to stdout, listening already. */
export async function listen(t: Test, host: Host, address: string, ...more: string[]): Promise<Running> {
  const args = ['--path', '-', '--listen-addr', address, ...more];
  const server = start(t, 'server', args, { namespace: host.name });
  await server.says('listening:');
  return server;
}

/** Sends a text by a client on a host, to its end. */
export async function send(
  t: Test,
  host: Host,
  text: string,
  address: string,
  ...more: string[]
): Promise<Running> {
  const args = ['--path', '-', '--server-addr', address, ...more];
  const client = start(t, 'client', args, { namespace: host.name });
  client.child.stdin!.end(text);
  t.equal(await client.exited, 0, client.stderr);
  return client;
}

/** A TCP client on a host that reads to stdout. */
export async function reader(t: Test, host: Host, address: string): Promise<Running> {
  const family = address.startsWith('[') ? 'TCP6' : 'TCP4';
  const socat = startProgram(t, 'socat', ['-dd', '-u', `${family}:${address}`, '-'], {
    namespace: host.name,
  });
  await socat.says('starting data transfer loop');
  return socat;
}

/** Waits until the stdout of a program holds a text. */
export async function got(running: Running, text: string, ms?: number): Promise<void> {
  await until(`stdout has ${JSON.stringify(text)}`, () => running.stdout.includes(text), ms).catch(
    (error) => {
      throw new Error(
        `${error.message}; it has ${JSON.stringify(running.stdout.toString())}; ${running.stderr}`,
      );
    },
  );
}

/** Waits until stderr has a text that was not there at `since`. */
export async function saysAfter(
  running: Running,
  since: number,
  pattern: RegExp,
  ms?: number,
): Promise<void> {
  await until(`stderr has ${pattern}`, () => pattern.test(running.stderr.slice(since)), ms).catch((error) => {
    throw new Error(`${error.message}; it has: ${running.stderr}`);
  });
}

/** The hosts file of one host, which `ip netns exec` puts in the place of the machine's. */
export function nameHosts(t: Test, host: Host, lines: string[]): void {
  const folder = `/etc/netns/${host.name}`;
  mkdirSync(folder, { recursive: true });
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(`${folder}/hosts`, `${lines.join('\n')}\n`);
}

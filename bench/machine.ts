import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { type Contestant, ORIGINAL } from './contestant.js';
import { httpProxyVersion } from './gateways.js';
import { ROOT } from './native.js';
import { named } from './original.js';

/** The machine and the programs of a run, one per line. */
export function machine(contestants: Contestant[]): string[] {
  const names = contestants.map(({ name }) => name);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const cores = cpus();
  const peers: [string, string[], RegExp][] = [
    ['socat', ['-V'], /socat version (\S+)/],
    ['ncat', ['--version'], /Version (\S+)/],
    ['multicat', ['-h'], /multicat (\d\S*)/],
    ['nginx', ['-v'], /nginx\/(\S+)/],
    ['haproxy', ['-v'], /version (\S+)/],
    ['caddy', ['version'], /v?(\d\S*)/],
  ];
  const versions = peers
    .filter(([name]) => names.includes(name))
    .map(([name, flags, pattern]) => `${name} ${pattern.exec(output(name, flags))?.[1] ?? ''}`.trim());
  if (names.includes('http-proxy')) versions.push(`http-proxy ${httpProxyVersion()}`);
  const rust = contestants.find(({ name }) => name === ORIGINAL);
  if (rust) versions.push(named(rust));
  return [
    `${cores.length} x ${cores[0]?.model.trim() || process.arch}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Linux ${release()}, Node ${process.versions.node}, mproxy ${version}`,
    `Peers: ${versions.length ? versions.join(', ') : 'none'}`,
    `net.core.rmem_max ${limit('rmem_max')}, net.core.wmem_max ${limit('wmem_max')}`,
    new Date().toISOString().slice(0, 10),
  ];
}

function limit(name: string): string {
  return readFileSync(`/proc/sys/net/core/${name}`, 'utf8').trim();
}

/** Output of a program, regardless of its exit status. */
function output(file: string, args: string[]): string {
  const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', timeout: 5000 });
  return `${stdout}${stderr}`;
}

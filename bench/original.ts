import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Command, type Contestant, fromTo, GROUP, HOST, ORIGINAL, type Place } from './contestant.js';
import { noHosts } from './hosts.js';
import type { Load } from './loads.js';
import { isProgram } from './native.js';

const NAMES = ['client', 'server', 'forward', 'reverse'].map((name) => `mproxy-${name}`);
const REMEDY = 'name the folder with the four executables of the Rust original';

/**
 * The Rust program of the same name.
 * @param folder with its executables
 * @throws an Error if one is missing or is another program
 */
export function original(folder: string): Contestant {
  const version = checkOriginal(folder);
  const isolable = noHosts() === undefined;
  return {
    name: ORIGINAL,
    kind: 'peer',
    ...(version === undefined ? {} : { version }),
    command: (load, place) => (load.role === 'group' && !isolable ? undefined : command(folder, load, place)),
  };
}

/** The name of the original with its version. */
export function named({ name, version }: Contestant): string {
  return version === undefined ? `${name}, version unknown` : `${name} ${version}`;
}

/**
 * Checks that a folder holds the original. `--help` identifies it: 0.1.8 has no `--version`, and ignores it.
 * @returns the version that `cargo install` recorded in the parent folder (.crates.toml; The Cargo Book,
 * Cargo Home), several if the programs differ, undefined if one is not recorded
 * @throws an Error that names the problem
 */
export function checkOriginal(folder: string): string | undefined {
  const wrong = problem(folder);
  if (wrong !== undefined) throw new Error(`MPROXY_RS: ${folder}: ${wrong}; ${REMEDY}`);
  const record = recorded(join(dirname(resolve(folder)), '.crates.toml'));
  const versions = NAMES.map((name) => record.get(name));
  if (versions.includes(undefined)) return undefined;
  return [...new Set(versions)].join(' and ');
}

function problem(folder: string): string | undefined {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (!found) return 'no such folder';
  if (!found.isDirectory()) return 'not a folder';
  const missing = NAMES.filter((name) => !statSync(join(folder, name), { throwIfNoEntry: false })?.isFile());
  if (missing.length > 0) return `lacks ${missing.join(', ')}`;
  const locked = NAMES.filter((name) => !isProgram(join(folder, name)));
  if (locked.length > 0) return `not executable: ${locked.join(', ')}`;
  for (const name of NAMES) {
    const { error, status, signal, stdout } = spawnSync(join(folder, name), ['--help'], {
      encoding: 'utf8',
      timeout: 5000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    if (error) return `${name} --help: ${(error as NodeJS.ErrnoException).code ?? error.message}`;
    if (status !== 0) return `${name} --help: ended with ${signal ?? `status ${status}`}`;
    if (!new RegExp(`^USAGE:\\s+${name}\\s`, 'm').test(stdout))
      return `${name} --help: not the help of the original`;
  }
  return undefined;
}

/** The versions in a line such as `"mproxy-client 0.1.8 (registry+URL)" = ["mproxy-client"]`, by package. */
function recorded(file: string): Map<string, string> {
  if (!statSync(file, { throwIfNoEntry: false })) return new Map();
  const lines = readFileSync(file, 'utf8').matchAll(/^"(mproxy-[a-z]+) (\S+) \(/gm);
  return new Map([...lines].map(([, name, version]) => [name!, version!]));
}

/** Sends only lines, and binds the group's port per TCP client, without SO_REUSEADDR: one client at most. */
function command(folder: string, load: Load, place: Place): Command | undefined {
  const run = (name: string, ...rest: string[]) => ({ argv: [join(folder, `mproxy-${name}`), ...rest] });
  if (load.role === 'client') {
    if (load.told) return undefined;
    return run('client', '--path', place.file, '--server-addr', `${HOST}:${place.out}`);
  }
  if (load.role === 'server')
    return run('server', '--path', place.file, '--listen-addr', `${HOST}:${place.in}`);
  if (load.role === 'group') {
    if (load.clients !== 1 || load.tls) return undefined;
    const flags = ['--multicast-addr', `${GROUP}:${place.in}`, '--tcp-output-addr', `${HOST}:${place.out}`];
    return { ...run('reverse', ...flags), isolated: true };
  }
  return run('forward', ...fromTo(place));
}

// What the scripts share: installing what a lockfile names, and running programs that say themselves what is wrong.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Installs what the lockfile of a folder says, where that is not there yet. */
export function install(folder) {
  if (isInstalled(folder)) return;
  say(`installing what ${name(folder)}package-lock.json names, into ${name(folder)}node_modules`);
  run(folder, 'npm', 'ci', '--no-fund', '--no-audit');
}

export function run(folder, file, ...args) {
  try {
    execFileSync(file, args, {
      cwd: folder,
      stdio: ['ignore', 'inherit', 'inherit'],
      shell: process.platform === 'win32',
    });
  } catch (error) {
    // The program has said what is wrong.
    say(`failed: ${[file, ...args].join(' ')}`);
    process.exit(error.status ?? 1);
  }
}

export function say(text) {
  process.stderr.write(`mproxy: ${text}\n`);
}

/** Whether what npm last installed is what the lockfile names; optional packages are for other platforms. */
function isInstalled(folder) {
  const wanted = packagesOf(folder, 'package-lock.json');
  // npm writes this one when it is done: an interrupted installation has none.
  const found = packagesOf(folder, 'node_modules/.package-lock.json');
  return Object.entries(wanted ?? {}).every(([path, { version, optional }]) => {
    if (path === '') return found !== undefined;
    return found?.[path] ? found[path].version === version : optional === true;
  });
}

function packagesOf(folder, lockfile) {
  try {
    return JSON.parse(readFileSync(new URL(lockfile, folder), 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function name(folder) {
  return folder.pathname.slice(new URL('..', import.meta.url).pathname.length);
}

// Makes a bare clone ready: installs what the lockfile says where that is not there yet, then builds, man pages too.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const root = new URL('..', import.meta.url);

if (!isInstalled()) {
  say('installing what package-lock.json names, into node_modules');
  run('npm', 'ci', '--no-fund', '--no-audit');
}
say('building');
run(process.execPath, 'node_modules/typescript/bin/tsc', '-b');
run(process.execPath, 'build/manual/main.js');

/** Whether what npm last installed is what the lockfile names; optional packages are for other platforms. */
function isInstalled() {
  const wanted = packagesOf('package-lock.json');
  // npm writes this one when it is done: an interrupted installation has none.
  const found = packagesOf('node_modules/.package-lock.json');
  return Object.entries(wanted ?? {}).every(([path, { version, optional }]) => {
    if (path === '') return found !== undefined;
    return found?.[path] ? found[path].version === version : optional === true;
  });
}

function packagesOf(lockfile) {
  try {
    return JSON.parse(readFileSync(new URL(lockfile, root), 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function run(file, ...args) {
  try {
    execFileSync(file, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      shell: process.platform === 'win32',
    });
  } catch (error) {
    // The program has said what is wrong.
    say(`failed: ${[file, ...args].join(' ')}`);
    process.exit(error.status ?? 1);
  }
}

function say(text) {
  process.stderr.write(`mproxy: ${text}\n`);
}

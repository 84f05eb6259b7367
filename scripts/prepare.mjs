// Makes a bare clone ready: installs what the lockfile says where that is not there yet, then builds.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';

const root = new URL('..', import.meta.url);
const run = (file, ...args) =>
  execFileSync(file, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });

const installed = new URL('node_modules/.package-lock.json', root);
const lock = new URL('package-lock.json', root);
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs)
  run('npm', 'ci', '--no-fund', '--no-audit');
run(process.execPath, 'node_modules/typescript/bin/tsc', '-b');

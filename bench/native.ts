import { execFileSync } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const PROGRAMS = ['load', 'count', 'readers', 'probe', 'meter', 'echo-load'] as const;
const LOOPS = ['loop-relay', 'loop-server', 'loop-client', 'loop-fanout'] as const;
export type Native = (typeof PROGRAMS)[number] | (typeof LOOPS)[number];

const BUILT = join(ROOT, 'build', 'bench', 'native');

export function native(name: Native): string {
  return join(BUILT, name);
}

/** Compiles the generators, counters and bare loops, which must be faster than what they measure. */
export function buildNative(): void {
  mkdirSync(BUILT, { recursive: true });
  for (const name of [...PROGRAMS, ...LOOPS]) {
    const source = join(ROOT, 'bench', 'native', `${name}.c`);
    try {
      execFileSync('cc', ['-O2', '-Wall', '-o', native(name), source], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
    } catch (error) {
      const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: Buffer };
      if (code === 'ENOENT') throw new Error('the bench needs a C compiler (cc) for its load generator');
      throw new Error(`cc ${source}: ${stderr}`);
    }
  }
}

export function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

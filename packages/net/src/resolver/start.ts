import type { ForkOptions } from 'node:child_process';

/** Marks the resolver process in its environment. */
export const RESOLVER = 'MPROXY_RESOLVER';

/** Look-ups that one process works at together: libuv gives half of its threads to getaddrinfo (uv__work_submit). */
export const MOST_LOOKUPS = 64;

/** How the resolver process is started. @throws in the resolver process itself, which must never start another */
export function forkOptions(): ForkOptions {
  if (process.env[RESOLVER]) throw new Error('this is a resolver process');
  return {
    // NODE_OPTIONS and flags are meant for the program: a debugger's port, modules to load.
    env: {
      ...process.env,
      NODE_OPTIONS: undefined,
      UV_THREADPOOL_SIZE: String(2 * MOST_LOOKUPS),
      [RESOLVER]: '1',
    },
    execArgv: [],
    // The current directory may have been removed, or be one that is to be unmounted.
    cwd: '/',
    // In a process group of its own it does not get the terminal's signals, as Ctrl-C gives them.
    detached: true,
    // It holds none of the program's pipes open.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  };
}

import type { ForkOptions } from 'node:child_process';

/** Environment variable that marks the resolver process. */
export const RESOLVER = 'MPROXY_RESOLVER';

/** Concurrent look-ups of one process: libuv gives half of its threads to getaddrinfo (uv__work_submit). */
export const MOST_LOOKUPS = 64;

/** Options to start the resolver process. @throws in that process, which must never start another */
export function forkOptions(): ForkOptions {
  if (process.env[RESOLVER]) throw new Error('this is a resolver process');
  return {
    // NODE_OPTIONS and flags, as for a debugger or modules to load, are meant for the parent.
    env: {
      ...process.env,
      NODE_OPTIONS: undefined,
      UV_THREADPOOL_SIZE: String(2 * MOST_LOOKUPS),
      [RESOLVER]: '1',
    },
    execArgv: [],
    // The current directory may be removed, or its file system unmounted.
    cwd: '/',
    // In its own process group it does not receive signals of the terminal, such as Ctrl-C.
    detached: true,
    // It must not keep the parent's pipes open.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  };
}

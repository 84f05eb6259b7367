import type { MproxyError, SocketAddress } from 'mproxy-base';
import type { Stats } from './counts.js';
import type { Lost } from './events.js';
import { type Certificate, type CommonOptions, Program } from './program.js';

/** A running program. */
export interface Handle {
  /** Resolves when every socket and file is open, with the addresses listened on. Rejects as `done` does. */
  ready: Promise<{ listening: SocketAddress[] }>;
  /** The counters as they are now. */
  stats(): Stats;
  /** Everything that was lost since the start, with reasons and remedies. */
  losses(): Lost[];
  /** The certificates of its TLS listeners, as they are in use. */
  certificates(): Certificate[];
  /** Stops reading, writes out what is buffered, and resolves as `done` does. */
  stop(): Promise<Stats>;
  /** Opens files again and reads certificates again, as a command does on SIGHUP. @returns whether it has any */
  reload(): boolean;
  /** The final counters; rejects with an {@link MproxyError}. */
  done: Promise<Stats>;
}

/**
 * Starts a program: `open` opens its sinks and routes, which then run to their end. Where `open` throws, `ready` and
 * `done` reject, and everything that was opened is closed.
 * @param signal stops the program
 */
export function startProgram(
  options: CommonOptions,
  signal: AbortSignal | undefined,
  open: (program: Program) => Promise<void>,
): Handle {
  const program = new Program(options);
  const ready = program.open(open);
  const done = ready.then(() => program.finish());
  // A caller may await one of the two alone.
  ready.catch(() => undefined);
  done.catch(() => undefined);
  const stop = () => {
    void program.stop();
    return done;
  };
  if (signal?.aborted) stop();
  else signal?.addEventListener('abort', stop, { once: true });
  const forget = () => signal?.removeEventListener('abort', stop);
  done.then(forget, forget);
  return {
    ...{ ready, done, stop, stats: () => program.stats() },
    ...{ losses: () => program.losses(), reload: () => program.reload() },
    certificates: () => program.certificates(),
  };
}

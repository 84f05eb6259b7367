import type { ChildProcess } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { setMaxListeners } from 'node:events';
import { startResolver } from '#resolver';
import { isInHostsFile } from './hosts.js';
import { lookUpError, NotStarted, ResolverProcess } from './process.js';

/** The longest that a look-up takes, in milliseconds. */
const LONGEST_MS = 30_000;
/** Threads of libuv's pool, of 4, that look-ups may hold where there is no resolver process. */
const IN_POOL = 2;

/**
 * Resolves names by getaddrinfo(3): so the hosts file, search domains, nsswitch.conf and mDNS all count. It blocks a
 * thread, for 20 s and more where no name server answers, cannot be cancelled, and an exit of the process waits for
 * it. So it is called in a process of its own, which can be killed; that is shared by all in this process.
 */
export class Resolver {
  readonly #processes = new Set<ResolverProcess>();
  #inPool = 0;
  readonly #queue: (() => void)[] = [];

  constructor(
    private readonly start: () => ChildProcess = startResolver,
    private readonly longest = LONGEST_MS,
  ) {}

  /**
   * All addresses of a name, in getaddrinfo's order.
   * @throws the reason of the signal as soon as it is aborted; EAI_AGAIN after 30 seconds; else getaddrinfo's error
   */
  async lookUp(host: string, signal: AbortSignal): Promise<string[]> {
    signal.throwIfAborted();
    // The file is all that is read: it needs no process, whose start takes some 50 ms.
    if (isInHostsFile(host)) return this.#bounded(signal, { answer: here(host), forget: () => undefined });
    try {
      return await this.#bounded(signal, this.#process().ask(host));
    } catch (error) {
      if (!(error instanceof NotStarted)) throw error;
    }
    // No process can be started: a sandbox, or an odd runtime. Look-ups then delay each other, and an exit.
    signal.throwIfAborted();
    return this.#bounded(signal, { answer: this.#lookUpInPool(host, signal), forget: () => undefined });
  }

  #process(): ResolverProcess {
    for (const one of this.#processes) if (!one.full) return one;
    const child = this.#startChild();
    const made: ResolverProcess = new ResolverProcess(child, () => this.#processes.delete(made));
    this.#processes.add(made);
    return made;
  }

  #startChild(): ChildProcess {
    try {
      return this.start();
    } catch (error) {
      throw new NotStarted('the resolver process cannot be started', { cause: error });
    }
  }

  async #lookUpInPool(host: string, signal: AbortSignal): Promise<string[]> {
    if (this.#inPool === IN_POOL) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#inPool++;
    try {
      signal.throwIfAborted();
      return await here(host);
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#inPool--;
    }
  }

  #bounded(
    signal: AbortSignal,
    { answer, forget }: { answer: Promise<string[]>; forget: () => void },
  ): Promise<string[]> {
    return new Promise((resolve, reject) => {
      // As many listeners as look-ups are no leak.
      setMaxListeners(0, signal);
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
      };
      const giveUp = (why: unknown) => {
        end();
        reject(why);
        forget();
      };
      const abort = () => giveUp(signal.reason);
      const timer = setTimeout(() => giveUp(lookUpError('EAI_AGAIN')), this.longest);
      signal.addEventListener('abort', abort);
      answer.then(resolve, reject).finally(end);
    });
  }
}

/** By libuv's pool in this process. */
async function here(host: string): Promise<string[]> {
  return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);
}

/** The one of this process. */
export const resolver = new Resolver();

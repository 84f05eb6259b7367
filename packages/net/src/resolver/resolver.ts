import type { ChildProcess } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { setMaxListeners } from 'node:events';
import { startResolver } from '#resolver';
import { isInHostsFile } from './hosts.js';
import { lookUpError, NotStarted, ResolverProcess } from './process.js';

/** Timeout of a look-up, in milliseconds. */
const TIMEOUT_MS = 30_000;
/** Threads of libuv's pool, of 4, that look-ups may use without a resolver process. */
const MAX_IN_POOL = 2;

/**
 * Resolves names with getaddrinfo(3): hosts file, search domains, nsswitch.conf and mDNS apply. It blocks a
 * thread, for 20 s or more if no name server answers, cannot be cancelled, and delays the exit of its
 * process. It therefore runs in a separate process, which can be killed and is shared by all callers.
 */
export class Resolver {
  readonly #processes = new Set<ResolverProcess>();
  #inPool = 0;
  readonly #queue: (() => void)[] = [];

  constructor(
    private readonly start: () => ChildProcess = startResolver,
    private readonly timeout = TIMEOUT_MS,
  ) {}

  /**
   * All addresses of a name, in getaddrinfo's order.
   * @throws the signal's reason as soon as it is aborted; EAI_AGAIN after 30 s; else getaddrinfo's error
   */
  async lookUp(host: string, signal: AbortSignal): Promise<string[]> {
    signal.throwIfAborted();
    // Only the hosts file is read: a process, whose start takes some 50 ms, is not needed.
    if (isInHostsFile(host)) return this.#bounded(signal, { answer: inPool(host), forget: () => undefined });
    try {
      return await this.#bounded(signal, this.#process().ask(host));
    } catch (error) {
      if (!(error instanceof NotStarted)) throw error;
    }
    // No process can be started, as in a sandbox. Look-ups then delay each other, and the exit.
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
    if (this.#inPool === MAX_IN_POOL) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#inPool++;
    try {
      signal.throwIfAborted();
      return await inPool(host);
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
      // One listener per look-up is no leak.
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
      const timer = setTimeout(() => giveUp(lookUpError('EAI_AGAIN')), this.timeout);
      signal.addEventListener('abort', abort);
      answer.then(resolve, reject).finally(end);
    });
  }
}

/** Resolves in libuv's pool of this process. */
async function inPool(host: string): Promise<string[]> {
  return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);
}

/** The resolver of this process. */
export const resolver = new Resolver();

import type { ChildProcess } from 'node:child_process';
import { type Question, READY, type Reply } from './messages.js';
import { MOST_LOOKUPS } from './start.js';

/** An idle process is ended after this time, in milliseconds. */
const IDLE_MS = 5000;

/** The process could not run, for instance where execution is forbidden. */
export class NotStarted extends Error {}

interface Waiter {
  resolve(addresses: string[]): void;
  reject(error: Error): void;
}

/** The parent's side of a resolver process, which keeps the event loop alive only while a caller waits. */
export class ResolverProcess {
  readonly #waiters = new Map<number, Waiter>();
  #lastId = READY;
  /** Requests in progress, including those whose callers gave up. */
  #pending = 0;
  #runs = false;
  #closed = false;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly child: ChildProcess,
    private readonly ended: () => void,
  ) {
    child.on('message', (reply: Reply) => this.#receive(reply));
    child.on('exit', () => this.#end());
    // The process could not be started.
    child.on('error', () => this.#end());
  }

  get full(): boolean {
    return this.#pending >= MOST_LOOKUPS;
  }

  /** @returns the answer, and a function to call if it is no longer needed */
  ask(host: string): { answer: Promise<string[]>; forget: () => void } {
    clearTimeout(this.#idleTimer);
    const id = ++this.#lastId;
    const answer = new Promise<string[]>((resolve, reject) => this.#waiters.set(id, { resolve, reject }));
    this.#pending++;
    this.#send({ id, host });
    return { answer, forget: () => this.#forget(id) };
  }

  #send(question: Question): void {
    const { child } = this;
    // No channel: the process could not be started because no descriptor was free.
    if (!child.connected) {
      this.#end();
      return;
    }
    child.ref();
    child.channel?.ref();
    child.send(question, (error) => {
      if (error) this.#end();
    });
  }

  #receive({ id, addresses, code = '' }: Reply): void {
    if (id === READY) {
      this.#runs = true;
      return;
    }
    this.#pending--;
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    if (addresses) waiter?.resolve(addresses);
    else waiter?.reject(lookUpError(code));
    this.#settle();
  }

  #forget(id: number): void {
    if (this.#waiters.delete(id)) this.#settle();
  }

  /** Without callers, a busy process is ended, and an idle one kept for the next request. */
  #settle(): void {
    if (this.#waiters.size > 0 || this.#closed) return;
    if (this.#pending > 0) {
      this.#end();
      return;
    }
    this.child.unref();
    this.child.channel?.unref();
    this.#idleTimer = setTimeout(() => this.#end(), IDLE_MS).unref();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    this.ended();
    this.child.kill('SIGKILL');
    this.child.unref();
    this.child.channel?.unref();
    const error = this.#runs ? lookUpError('EAI_AGAIN') : new NotStarted('the resolver process does not run');
    for (const { reject } of this.#waiters.values()) reject(error);
    this.#waiters.clear();
  }
}

/** An error like those of node:dns. */
export function lookUpError(code: string): Error {
  return Object.assign(new Error(`getaddrinfo ${code}`), { code, syscall: 'getaddrinfo' });
}

import type { ChildProcess } from 'node:child_process';
import { type Question, READY, type Reply } from './messages.js';
import { MOST_LOOKUPS } from './start.js';

/** It ends when it had nothing to do for so long. */
const IDLE_MS = 5000;

/** The process did not come to run, as where nothing may be executed. */
export class NotStarted extends Error {}

interface Waiter {
  resolve(addresses: string[]): void;
  reject(error: Error): void;
}

/** The program's side of a resolver process. The event loop goes on for its sake only while somebody waits. */
export class ResolverProcess {
  readonly #waiters = new Map<number, Waiter>();
  #lastId = READY;
  /** Questions that it works at, those that nobody waits for any more included. */
  #open = 0;
  #runs = false;
  #over = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(
    private readonly child: ChildProcess,
    private readonly ended: () => void,
  ) {
    child.on('message', (reply: Reply) => this.#take(reply));
    child.on('exit', () => this.#end());
    // It could not be started.
    child.on('error', () => this.#end());
  }

  get full(): boolean {
    return this.#open >= MOST_LOOKUPS;
  }

  /** @returns the answer, and what says that nobody waits for it any more */
  ask(host: string): { answer: Promise<string[]>; forget: () => void } {
    clearTimeout(this.#idle);
    const id = ++this.#lastId;
    const answer = new Promise<string[]>((resolve, reject) => this.#waiters.set(id, { resolve, reject }));
    this.#open++;
    this.#send({ id, host });
    return { answer, forget: () => this.#forget(id) };
  }

  #send(question: Question): void {
    const { child } = this;
    // There is no channel where the process could not be started for want of descriptors.
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

  #take({ id, addresses, code = '' }: Reply): void {
    if (id === READY) {
      this.#runs = true;
      return;
    }
    this.#open--;
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    if (addresses) waiter?.resolve(addresses);
    else waiter?.reject(lookUpError(code));
    this.#rest();
  }

  #forget(id: number): void {
    if (this.#waiters.delete(id)) this.#rest();
  }

  /** Nobody waits: what it still works at is not needed, and what may come soon it can do. */
  #rest(): void {
    if (this.#waiters.size > 0 || this.#over) return;
    if (this.#open > 0) {
      this.#end();
      return;
    }
    this.child.unref();
    this.child.channel?.unref();
    this.#idle = setTimeout(() => this.#end(), IDLE_MS).unref();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#idle);
    this.ended();
    this.child.kill('SIGKILL');
    this.child.unref();
    this.child.channel?.unref();
    const error = this.#runs ? lookUpError('EAI_AGAIN') : new NotStarted('the resolver process does not run');
    for (const { reject } of this.#waiters.values()) reject(error);
    this.#waiters.clear();
  }
}

/** An error as node:dns gives it. */
export function lookUpError(code: string): Error {
  return Object.assign(new Error(`getaddrinfo ${code}`), { code, syscall: 'getaddrinfo' });
}

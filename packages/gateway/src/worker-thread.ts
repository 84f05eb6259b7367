import type { Worker } from 'node:worker_threads';
import { ERRORS, type ErrorCode, MproxyError, type SocketAddress } from 'mproxy-base';
import type { Fields } from 'mproxy-flow/events';
import type { ListenAddress } from 'mproxy-net';
import { startWorker } from '#parts';
import { stackOf } from './stack-of.js';
import type { Order, PlainError, Report, WorkerEvent, WorkerTask, WorkerTls } from './worker-messages.js';

export interface WorkerEvents {
  noticed(event: WorkerEvent, fields: Fields): void;
  log(lines: Uint8Array<ArrayBuffer>, records: number): void;
  /** It ended, not asked to. */
  died(reason: string): void;
}

/**
 * Of a worker's heap: one that grows to this, in MiB, ends that worker before it takes the memory of all. Bytes on their way are not in the
 * heap, and 10,000 connections take a tenth of it.
 */
const MAX_HEAP = 512;
/** New objects, which last as long as a request, in MiB: more of them would take memory, and time no less. */
const MAX_YOUNG = 12;

/** Starts a thread that loads what a worker needs, and waits for its task. */
export function startThread(): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: MAX_HEAP, maxYoungGenerationSizeMb: MAX_YOUNG };
  return startWorker({ resourceLimits });
}

/** The main thread's side of one worker. */
export class WorkerThread {
  /** Resolves when it can listen. @throws why its stack cannot be built, or why it died */
  readonly ready: Promise<void>;
  /** Resolves when it accepts no more; it may have died. */
  readonly closed: Promise<void>;
  /** Resolves with the number of connections that were cut, when it has drained; 0 if it died. */
  readonly drained: Promise<number>;
  readonly exited: Promise<void>;
  readonly #worker: Worker;
  readonly #listens = new Map<number, Settle<SocketAddress | undefined>>();
  #next = 0;
  #ready!: Settle<void>;
  #closed!: () => void;
  #drained!: (cut: number) => void;
  #error: unknown;
  #ending = false;

  constructor(
    task: WorkerTask,
    private readonly events: WorkerEvents,
    worker = startThread(),
  ) {
    this.ready = new Promise((resolve, reject) => {
      this.#ready = { resolve, reject };
    });
    this.closed = new Promise((resolve) => {
      this.#closed = resolve;
    });
    this.drained = new Promise((resolve) => {
      this.#drained = resolve;
    });
    // Whoever waits for it handles its failure; nobody may be waiting any more.
    this.ready.catch(() => undefined);
    this.#worker = worker;
    worker.postMessage(task);
    this.#worker.on('message', (report: Report) => this.#take(report));
    this.#worker.on('error', (error) => {
      this.#error = error;
    });
    this.exited = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#exited();
        resolve();
      });
    });
  }

  /** @returns the bound address @throws the system's error */
  listen(listener: number, at: ListenAddress): Promise<SocketAddress | undefined> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#listens.set(id, { resolve, reject });
      this.#order({ what: 'listen', id, listener, at });
    });
  }

  /** Accepts what waits and no more; see {@link closed} and {@link drained}. */
  drain(grace: number): void {
    this.#order({ what: 'drain', grace });
  }

  /** Uses other certificates for TLS handshakes from now on. */
  secure(tls: WorkerTls): void {
    this.#order({ what: 'secure', tls });
  }

  logged(bytes: number): void {
    this.#order({ what: 'logged', bytes });
  }

  /** Ends it at once. */
  async end(): Promise<void> {
    this.#ending = true;
    await this.#worker.terminate();
    await this.exited;
  }

  #order(order: Order): void {
    this.#worker.postMessage(order);
  }

  #take(report: Report): void {
    if (report.what === 'ready') this.#ready.resolve();
    else if (report.what === 'failed') this.#ready.reject(errorOf(report.error));
    else if (report.what === 'listening') this.#listening(report);
    else if (report.what === 'noticed') this.events.noticed(report.event, report.fields);
    else if (report.what === 'log') this.events.log(report.lines, report.records);
    else if (report.what === 'closed') this.#closed();
    else this.#drained(report.cut);
  }

  #listening({ id, local, error }: Extract<Report, { what: 'listening' }>): void {
    const listen = this.#listens.get(id)!;
    this.#listens.delete(id);
    if (error) listen.reject(errorOf(error));
    else listen.resolve(local);
  }

  #exited(): void {
    const why = this.#error === undefined ? 'it left without an error' : reasonOf(this.#error);
    const error = new Error(`the worker ended: ${why}`);
    this.#ready.reject(error);
    for (const { reject } of this.#listens.values()) reject(error);
    this.#closed();
    this.#drained(0);
    if (!this.#ending) this.events.died(why);
  }
}

interface Settle<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** Why a worker ended, on one line. Of an exception that nothing caught, the stack tells most. */
function reasonOf(error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY') return 'its heap is exhausted';
  return stackOf(error);
}

function errorOf({ message, code, errno, syscall }: PlainError): Error {
  if (code !== undefined && Object.hasOwn(ERRORS, code)) return new MproxyError(code as ErrorCode, message);
  const error: NodeJS.ErrnoException = new Error(message);
  if (code !== undefined) error.code = code;
  if (errno !== undefined) error.errno = errno;
  if (syscall !== undefined) error.syscall = syscall;
  return error;
}

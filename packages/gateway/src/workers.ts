import type { Worker } from 'node:worker_threads';
import { throwInternal } from 'mproxy-base';
import type { Program } from 'mproxy-flow';
import type { Fields } from 'mproxy-flow/events';
import type { ListenAddress } from 'mproxy-net';
import { Backoff } from 'mproxy-net/backoff';
import { ThreadDescriptors } from 'mproxy-net/linux/thread-descriptors';
import { ThreadLoads } from 'mproxy-net/thread-loads';
import type { GatewayCounters } from './counters/gateway-counters.js';
import { WORKER_FAILED } from './events.js';
import type { Listening } from './listeners.js';
import type { WorkerEvent, WorkerTask, WorkerTls } from './worker-messages.js';
import { threadNumber } from './worker-number.js';
import { WorkerThread } from './worker-thread.js';

/** A worker that lives so long has a successor at once, in milliseconds; of one that dies sooner, only the first has. */
const STABLE_MS = 10_000;

export interface WorkersOptions {
  count: number;
  /** Whether they share listeners, by descriptors. */
  shares: boolean;
  task: Pick<WorkerTask, 'config' | 'engine' | 'health' | 'clients'>;
  /** What TLS needs now. Each worker is started with it. */
  tls(): WorkerTls | undefined;
  counters: GatewayCounters;
  program: Pick<Program, 'emit'>;
  noticed(event: WorkerEvent, fields: Fields): void;
  /** A thread of {@link startThread} for the first worker, which has begun to load already. */
  first: Worker;
  /** Takes records for the access log. @returns a promise if they are not written yet */
  log(lines: Uint8Array<ArrayBuffer>, records: number): void | Promise<void>;
}

/** The workers of a gateway. One that ends, whichever way, is replaced; the others do not notice. */
export class Workers {
  /** Workers that ended unasked. */
  restarts = 0;
  /** Requests that they had. */
  requestsLost = 0;
  /** By number; undefined: its successor is not there yet. */
  readonly #threads: (WorkerThread | undefined)[];
  readonly #serving = new Set<WorkerThread>();
  readonly #startedAt: number[];
  readonly #backoffs: (Backoff | undefined)[];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #descriptors: ThreadDescriptors | undefined;
  readonly #loads: Int32Array;
  #listening: readonly Listening[] = [];
  #stopping = false;

  constructor(private readonly options: WorkersOptions) {
    const { count, shares } = options;
    this.#threads = new Array(count).fill(undefined);
    this.#startedAt = new Array(count).fill(0);
    this.#backoffs = new Array(count).fill(undefined);
    this.#loads = new Int32Array(new SharedArrayBuffer(4 * count));
    if (shares) this.#descriptors = new ThreadDescriptors();
  }

  get count(): number {
    return this.#threads.length;
  }

  /** Those that serve. */
  get running(): number {
    return this.#serving.size;
  }

  /** @throws why one of them could not start; then none runs */
  async start(): Promise<void> {
    const { first } = this.options;
    const started = this.#threads.map((_, number) => this.#start(number, number === 0 ? first : undefined));
    const failed = (await Promise.allSettled(started)).find((one) => one.status === 'rejected');
    if (!failed) return;
    await this.end();
    throw failed.reason;
  }

  /** All of them listen, in this order, from now on, their successors too. @throws the system's error */
  async listen(listening: readonly Listening[]): Promise<void> {
    this.#listening = [...this.#listening, ...listening];
    await Promise.all(this.#threads.map((thread) => thread && listenAll(thread, listening)));
  }

  /** One of them listens, where only one can. @returns its bound address @throws the system's error */
  async listenAlone(listener: number, at: ListenAddress) {
    const local = await this.#threads[0]!.listen(listener, at);
    const bound = 'address' in at && local ? { ...at, port: local.port } : at;
    this.#listening = [...this.#listening, { listener, at: bound }];
    return local;
  }

  /** All of them use other certificates for TLS handshakes from now on. */
  secure(tls: WorkerTls): void {
    for (const thread of this.#threads) thread?.secure(tls);
  }

  /** Accepts what waits, and no more. @param closed is called when all of that is accepted. @returns connections that were cut */
  async drain(grace: number, closed: () => void): Promise<number> {
    this.#stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const threads = this.#threads.filter((thread) => thread !== undefined);
    for (const thread of threads) thread.drain(grace);
    await Promise.all(threads.map((thread) => thread.closed));
    closed();
    const cut = await Promise.all(threads.map(({ drained }) => drained));
    return cut.reduce((sum, count) => sum + count, 0);
  }

  /** Ends all of them at once. */
  async end(): Promise<void> {
    this.#stopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.#threads.map((thread) => thread?.end()));
    for (const number of this.#threads.keys()) this.#clean(number);
  }

  async #start(number: number, worker?: Worker): Promise<void> {
    const { task, counters, log, noticed } = this.options;
    const descriptors = this.#descriptors?.memory;
    const thread: WorkerThread = new WorkerThread(
      {
        ...{ ...task, number, workers: this.count, counters: counters.memory(number) },
        tls: this.options.tls(),
        ...(descriptors && { shared: { descriptors, loads: this.#loads } }),
      },
      {
        noticed,
        log: (lines, records) => {
          const { length } = lines;
          const written = log(lines, records);
          if (written) void written.then(() => thread.logged(length));
          else thread.logged(length);
        },
        died: (why) => this.#died(number, why),
      },
      worker,
    );
    this.#threads[number] = thread;
    this.#startedAt[number] = performance.now();
    await thread.ready;
    await listenAll(thread, this.#listening);
    this.#serving.add(thread);
  }

  #died(number: number, why: string): void {
    this.#serving.delete(this.#threads[number]!);
    this.#threads[number] = undefined;
    const { requests, connections } = this.#clean(number);
    if (this.#stopping) return;
    this.restarts++;
    this.requestsLost += requests;
    const retryMs = this.#delay(number);
    const fields = { worker: number + 1, reason: why, requests, connections };
    this.options.program.emit(WORKER_FAILED, { ...fields, ...(retryMs > 0 && { retryMs }) });
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#start(number).catch((error) => this.#failedAgain(number, error));
    }, retryMs);
    this.#timers.add(timer);
  }

  /** A successor that cannot start or listen has ended, or is ended. */
  #failedAgain(number: number, error: unknown): void {
    const thread = this.#threads[number];
    if (!thread || this.#stopping) return;
    throwInternal(error);
    void thread.end().then(() => this.#died(number, (error as Error).message));
  }

  /** The first successor of a worker starts at once. */
  #delay(number: number): number {
    const lived = performance.now() - this.#startedAt[number]!;
    if (lived >= STABLE_MS) this.#backoffs[number] = undefined;
    const backoff = this.#backoffs[number];
    if (backoff) return backoff.next();
    this.#backoffs[number] = new Backoff();
    return 0;
  }

  /** Closes what a worker left open, which ends its connections. */
  #clean(number: number): { requests: number; connections: number } {
    new ThreadLoads(this.#loads, number).end(number);
    this.#descriptors?.close(threadNumber(number));
    return this.options.counters.ended(number);
  }
}

/** In this order: no listener accepts before those in front of it. */
async function listenAll(thread: WorkerThread, listening: readonly Listening[]): Promise<void> {
  for (const { listener, at } of listening) await thread.listen(listener, at);
}

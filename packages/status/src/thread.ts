import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import type { Handle, Notice } from 'mproxy-flow';
import { noticeOf } from 'mproxy-flow/events';
import { Backoff } from 'mproxy-net/backoff';
import { startWorker } from '#parts';
import { STATUS_FAILED } from './events.js';
import type { Listening, Snapshot, StatusData, Told } from './messages.js';

const TICK_MS = 1000;
/** How long the end waits for the thread, in milliseconds. */
const CLOSE_MS = 500;
/** Of the heap of the thread, in MiB. What requests leave behind is collected while it is little. */
const HEAP_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 128 };

/**
 * The program's side of its status, which a thread of its own serves: whatever that is sent, the program only tells it the
 * counters, once a second and when it asks. A thread that fails is replaced.
 */
export class StatusThread {
  readonly #backoff = new Backoff();
  readonly #timer = setInterval(() => this.#tell(true), TICK_MS).unref();
  #worker: Worker | undefined;
  #handle: Handle | undefined;
  #ready = false;
  #closed = false;

  /** @param stopping aborted when the program stops */
  constructor(
    private readonly data: StatusData,
    private readonly stopping: AbortSignal,
    private readonly onNotice: (notice: Notice) => void,
  ) {
    stopping.addEventListener('abort', () => this.#tell(), { once: true });
  }

  /** @returns the URLs of the page @throws the system's error, if it does not listen */
  async start(): Promise<string[]> {
    const worker = startWorker({ workerData: this.data, execArgv: [], resourceLimits: HEAP_LIMITS });
    const [{ urls, listen }] = (await once(worker, 'message')) as [Listening];
    // Its successor listens at the same port.
    this.data.listen = listen;
    worker.on('message', () => this.#tell());
    worker.on('error', (error) => this.#failed(error));
    // It does not keep the program running.
    worker.unref();
    this.#worker = worker;
    this.#backoff.connected();
    return urls;
  }

  /** The program has begun to start. */
  watch(handle: Handle): void {
    this.#handle = handle;
    handle.ready.then(
      () => {
        this.#ready = true;
        this.#tell(true);
      },
      // A failed start ends the program.
      () => undefined,
    );
  }

  notice(notice: Notice): void {
    this.#post({ what: 'notice', notice });
  }

  /** Resolves when nothing listens any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    const worker = this.#worker;
    if (!worker) return;
    const ended = once(worker, 'exit');
    this.#post({ what: 'close' });
    await Promise.race([ended, wait(CLOSE_MS)]);
  }

  #tell(isTick = false): void {
    this.#post({ what: 'snapshot', snapshot: this.#snapshot(), isTick });
  }

  #snapshot(): Snapshot {
    const handle = this.#handle;
    return {
      state: this.stopping.aborted ? 'stopping' : this.#ready ? 'running' : 'starting',
      stats: handle?.stats() ?? { routes: [] },
      losses: handle?.losses() ?? [],
      certificates: handle?.certificates() ?? [],
    };
  }

  #post(told: Told): void {
    this.#worker?.postMessage(told);
  }

  #failed({ message }: Error): void {
    this.#worker = undefined;
    if (this.#closed) return;
    const retryMs = this.#backoff.next();
    this.onNotice(noticeOf(STATUS_FAILED, { reason: message, retryMs }));
    setTimeout(() => this.start().catch((error) => this.#failed(error)), retryMs).unref();
  }
}

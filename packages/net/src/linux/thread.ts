import { Batch } from 'mproxy-framing';
import { startWorker } from '#native';
import type {
  Deliver,
  FileTarget,
  HandedOver,
  Network,
  OwnSender,
  SocketTarget,
  ThreadSinks,
} from '../datagrams.js';
import { SharedCounts } from './counts.js';
import type { Libc } from './libc.js';
import { Ring } from './ring.js';
import { Senders } from './senders.js';
import { interfaceName } from './socket.js';

/** Everything a thread needs to know: plain data. */
export interface ThreadData {
  inlet: { fd: number; ignored: OwnSender[]; allow?: Network[]; roomy: boolean; tellsSenders: boolean };
  sockets: SocketTarget[];
  files: FileTarget[];
  /** Given where some sink lives on the event loop. */
  ring: SharedArrayBuffer | undefined;
  counts: SharedArrayBuffer;
  /** One word: 1 asks the thread to stop. */
  stop: SharedArrayBuffer;
}

const SHUT_RD = 0;
/** How long it delivers before the event loop has its turn. */
const TURN_MS = 2;

/** Node waits for its threads when it exits, and a thread in a system call would have it wait for ever. */
const running = new Set<ReceivingThread>();
process.on('exit', () => {
  for (const thread of running) thread.stop();
});

/** The event loop's side of a receiving thread. */
export class ReceivingThread {
  readonly counts = new SharedCounts();
  readonly ended: Promise<void>;
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #ring: Ring | undefined;
  readonly #senders: Senders | undefined;
  readonly #batch = new Batch();
  #more: NodeJS.Immediate | undefined;

  constructor(
    private readonly libc: Libc,
    private readonly inlet: ThreadData['inlet'],
    sinks: ThreadSinks,
    private readonly deliver: Deliver | undefined,
  ) {
    this.#ring = deliver && new Ring(undefined, inlet.tellsSenders);
    if (inlet.tellsSenders) this.#senders = new Senders((index) => interfaceName(libc, index));
    const data: ThreadData = {
      inlet,
      sockets: sinks.sockets,
      files: sinks.files.map(({ target }) => target),
      ring: this.#ring?.buffer,
      counts: this.counts.buffer,
      stop: this.#stop.buffer as SharedArrayBuffer,
    };
    const worker = startWorker({
      workerData: data,
      execArgv: [],
      // It makes little garbage: what it needs to start with is enough.
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    });
    running.add(this);
    worker.on('message', (message: 'more' | ({ file: number } & HandedOver)) => {
      if (message === 'more') this.#drain();
      else sinks.files[message.file]!.handOver(message);
    });
    // Finds nothing yet, and asks to be woken.
    this.#drain();
    this.ended = new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', () => {
        running.delete(this);
        this.#drain(Number.POSITIVE_INFINITY);
        resolve();
      });
    });
  }

  /** Wakes the thread: it delivers what the kernel holds, and ends. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1);
    this.wake();
  }

  /** Has the thread return from its system call, and enter the next. */
  wake(): void {
    // On an unconnected socket it answers ENOTCONN, and wakes the receiver all the same.
    this.libc.shutdown(this.inlet.fd, SHUT_RD);
  }

  /** Delivers what is there, in turns with all else that the event loop has to do: a flood never ends. */
  #drain(turn = TURN_MS): void {
    clearImmediate(this.#more);
    this.#more = undefined;
    const until = performance.now() + turn;
    while (this.#ring?.read(this.#batch)) {
      if (this.#senders) this.#ring.tell(this.#batch, this.#senders);
      this.deliver?.(this.#batch);
      this.#ring.release();
      if (performance.now() < until) continue;
      this.#more = setImmediate(() => this.#drain());
      return;
    }
  }
}

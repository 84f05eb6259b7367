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

/** The worker's data. */
export interface ThreadData {
  inlet: { fd: number; ignored: OwnSender[]; allow?: Network[]; roomy: boolean; tellsSenders: boolean };
  sockets: SocketTarget[];
  files: FileTarget[];
  /** Undefined when no sink is on the event loop. */
  ring: SharedArrayBuffer | undefined;
  counts: SharedArrayBuffer;
  /** One word: 1 asks the thread to stop. */
  stop: SharedArrayBuffer;
}

const SHUT_RD = 0;
/** How long a drain delivers before it yields to the event loop, in milliseconds. */
const TURN_MS = 2;

/** On exit Node waits for its threads, and would wait indefinitely for one blocked in a system call. */
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
      // It allocates little: the space it needs to start is enough.
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    });
    running.add(this);
    worker.on('message', (message: 'more' | ({ file: number } & HandedOver)) => {
      if (message === 'more') this.#drain();
      else sinks.files[message.file]!.handOver(message);
    });
    // The ring is empty: this asks to be woken.
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

  /** Wakes the thread, which delivers the datagrams that the kernel holds, and ends. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1);
    this.wake();
  }

  /** Makes the thread's receive return; it then receives again. */
  wake(): void {
    // Fails with ENOTCONN on an unconnected socket, but wakes the receiver.
    this.libc.shutdown(this.inlet.fd, SHUT_RD);
  }

  /** Delivers from the ring, and yields to the event loop after each turn: a flood never ends. */
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

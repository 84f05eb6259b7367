import type { Deliver, ReceiverOptions, ThreadFileSink, ThreadSinks } from '../datagrams.js';
import type { ThreadClients } from '../fanout/thread-clients.js';
import type { ReceiverTask } from './commands.js';
import { SharedCounts } from './counts.js';

export type Socket = Pick<ReceiverTask, 'fd' | 'ignored' | 'allow' | 'roomy' | 'tellsSenders'>;

/** The thread that an assignment is served by. */
export interface ServingThread {
  stop(assignment: Assignment): void;
  wake(assignment: Assignment): void;
  replaced(assignment: Assignment): void;
}

/** A receiver that is assigned to a thread, as the event loop sees it. */
export class Assignment {
  readonly counts = new SharedCounts();
  readonly task: ReceiverTask;
  readonly files: readonly ThreadFileSink[];
  readonly clients: readonly ThreadClients[];
  /** Resolves when everything received is delivered, and the descriptor can be closed. */
  readonly ended: Promise<void>;
  /** Undefined before a thread has it, and between two. */
  thread: ServingThread | undefined;
  /** Whether {@link stop} was called. */
  stopped = false;
  resolve!: () => void;
  reject!: (error: unknown) => void;

  constructor(
    socket: Socket,
    sinks: ThreadSinks,
    readonly deliver: Deliver | undefined,
    readonly threadFailed?: ReceiverOptions['threadFailed'],
  ) {
    this.task = {
      ...socket,
      sockets: sinks.sockets,
      files: sinks.files.map(({ target }) => target),
      clients: sinks.clients.map(({ task }) => task),
      delivers: deliver !== undefined,
      counts: this.counts.buffer,
    };
    this.clients = sinks.clients;
    this.files = sinks.files;
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /** The thread delivers the datagrams that the kernel holds; that ends it. */
  stop(): void {
    this.stopped = true;
    this.thread?.stop(this);
  }

  /** Before another socket takes the descriptor: makes a blocked receive return. */
  replacing(): void {
    this.thread?.wake(this);
  }

  /** Another socket took the descriptor. */
  replaced(): void {
    this.thread?.replaced(this);
  }
}

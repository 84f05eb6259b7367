import { closeSync } from 'node:fs';
import { ClientCounts } from './client-counts.js';
import type { FanoutEvents, FanoutSettings } from './fanout.js';

/** What a receiving thread is told of the clients of one listener. */
export type ClientsOrder =
  /** Serve this descriptor, which is the thread's from now on. */
  | { what: 'take'; client: number; fd: number }
  /** Let them take what is queued, and close them. */
  | { what: 'close' };

/** What the thread reports. */
export type ClientsEvent =
  | { what: 'joined'; client: number }
  | { what: 'left'; client: number; reason?: string | undefined }
  | { what: 'closed' };

/** What a thread needs to serve the clients of a listener. */
export interface ClientsTask {
  /** In orders and events; unique in this process. */
  number: number;
  settings: FanoutSettings;
  counts: SharedArrayBuffer;
}

let last = 0;

/**
 * The event loop's side of clients that live in the loop of a receiving thread. Their listener stays on the event loop; it gives the
 * descriptors of admitted connections away.
 */
export class ThreadClients {
  readonly task: ClientsTask;
  readonly #counts = new ClientCounts();
  /** Descriptors that the thread has, and has not reported as left. */
  readonly #descriptors = new Map<number, number>();
  /** Undefined before there is a thread. */
  #order: ((order: ClientsOrder) => void) | undefined;
  #closed!: () => void;
  /** Resolves when all clients were closed after {@link close}, or the thread is gone. */
  readonly #whenClosed = new Promise<void>((resolve) => {
    this.#closed = resolve;
  });

  constructor(
    settings: FanoutSettings,
    private readonly events: FanoutEvents,
  ) {
    this.task = { number: ++last, settings, counts: this.#counts.buffer };
  }

  /** Clients that have not left. */
  get size(): number {
    return this.#descriptors.size;
  }

  get counts() {
    return this.#counts.read();
  }

  /** Gives a non-blocking descriptor to the thread. */
  add(client: number, fd: number): void {
    this.#descriptors.set(client, fd);
    this.#order?.({ what: 'take', client, fd });
  }

  /** The thread lets the clients take what is queued for them, for a second at most, and closes them. */
  close(): Promise<void> {
    if (this.#order) this.#order({ what: 'close' });
    else this.lost('no data came');
    return this.#whenClosed;
  }

  /** A thread takes orders. */
  serve(order: (order: ClientsOrder) => void): void {
    this.#order = order;
    for (const [client, fd] of this.#descriptors) order({ what: 'take', client, fd });
  }

  /** Takes an event of the thread. */
  take(event: ClientsEvent): void {
    if (event.what === 'joined') this.events.joined(event.client);
    else if (event.what === 'closed') this.#closed();
    else if (this.#descriptors.delete(event.client)) this.events.left(event.client, event.reason);
  }

  /** The thread ended, or never was. A thread that fails closes no descriptors. */
  lost(reason: string): void {
    this.#order = (order) => {
      if (order.what === 'take') this.#left(order.client, reason);
    };
    this.#counts.left(this.#counts.read().clients.now);
    for (const client of [...this.#descriptors.keys()]) this.#left(client, reason);
    this.#closed();
  }

  #left(client: number, reason: string): void {
    closeSync(this.#descriptors.get(client)!);
    this.#descriptors.delete(client);
    this.events.left(client, reason);
  }
}

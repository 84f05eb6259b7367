import { closeSync } from 'node:fs';
import type { TlsServer } from '../streams.js';
import { ClientCounts } from './client-counts.js';
import type { FanoutEvents, FanoutSettings } from './fanout.js';

/** What a receiving thread is told of the clients of one listener. */
export type ClientsOrder =
  /** Serve this descriptor, which is the thread's from now on. */
  | { what: 'take'; client: number; fd: number }
  /** Use other certificates for handshakes from now on. */
  | { what: 'secure'; tls: TlsServer }
  /** Let them take what is queued, and close them. */
  | { what: 'close' };

/** What the thread reports. */
export type ClientsEvent =
  /** It takes descriptors. */
  | { what: 'opened' }
  | { what: 'joined'; client: number }
  | { what: 'left'; client: number; reason?: string | undefined }
  /** Its TLS handshake failed. */
  | { what: 'refused'; client: number; reason: string }
  | { what: 'closed' };

/** What a thread needs to serve the clients of a listener. */
export interface ClientsTask {
  /** In orders and events; unique in this process. */
  number: number;
  settings: FanoutSettings;
  counts: SharedArrayBuffer;
  /** Given: the thread does the TLS handshakes. */
  tls?: TlsServer | undefined;
}

export interface ThreadClientsEvents extends FanoutEvents {
  /** The thread takes descriptors from now on; before, it needs some itself. Those that wait are given in this call. */
  opened(): void;
  /** Its TLS handshake failed: it did not join. */
  refused(client: number, reason: string): void;
}

let last = 0;

/**
 * The event loop's side of clients that live in the loop of a receiving thread. Their listener stays on the event loop; it gives the
 * descriptors of admitted connections away.
 */
export class ThreadClients {
  readonly task: ClientsTask;
  /** Whether the thread takes descriptors; it has got those of connections that were waiting to be accepted. */
  isOpen = false;
  readonly #counts = new ClientCounts();
  /** Those that the thread has, and has not reported as left or refused. */
  readonly #clients = new Map<number, { fd: number; joined: boolean }>();
  /** Undefined before there is a thread. */
  #order: ((order: ClientsOrder) => void) | undefined;
  #closed!: () => void;
  /** Resolves when all clients were closed after {@link close}, or the thread is gone. */
  readonly #whenClosed = new Promise<void>((resolve) => {
    this.#closed = resolve;
  });

  constructor(
    settings: FanoutSettings,
    private readonly events: ThreadClientsEvents,
    tls?: TlsServer,
  ) {
    this.task = { number: ++last, settings, counts: this.#counts.buffer, tls };
  }

  /** Clients that have not left, those in a handshake included. */
  get size(): number {
    return this.#clients.size;
  }

  get counts() {
    return this.#counts.read();
  }

  /** Gives a non-blocking descriptor to the thread. */
  add(client: number, fd: number): void {
    this.#clients.set(client, { fd, joined: false });
    this.#order?.({ what: 'take', client, fd });
  }

  /** Uses other certificates for handshakes from now on. */
  secure(tls: TlsServer): void {
    this.task.tls = tls;
    this.#order?.({ what: 'secure', tls });
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
    for (const [client, { fd }] of this.#clients) order({ what: 'take', client, fd });
  }

  /** Takes an event of the thread. */
  take(event: ClientsEvent): void {
    if (event.what === 'opened') this.#opened();
    else if (event.what === 'closed') this.#closed();
    else if (event.what === 'joined') this.#joined(event.client);
    else if (this.#clients.delete(event.client)) {
      if (event.what === 'refused') this.events.refused(event.client, event.reason);
      else this.events.left(event.client, event.reason);
    }
  }

  /** The thread ended, or never was. A thread that fails closes no descriptors. */
  lost(reason: string): void {
    this.#order = (order) => {
      if (order.what === 'take') this.#left(order.client, reason);
    };
    this.#counts.left(this.#counts.read().clients.now);
    for (const client of [...this.#clients.keys()]) this.#left(client, reason);
    this.#closed();
  }

  #opened(): void {
    this.isOpen = true;
    this.events.opened();
  }

  #joined(client: number): void {
    this.#clients.get(client)!.joined = true;
    this.events.joined(client);
  }

  #left(client: number, reason: string): void {
    const { fd, joined } = this.#clients.get(client)!;
    closeSync(fd);
    this.#clients.delete(client);
    if (joined) this.events.left(client, reason);
    else this.events.refused(client, reason);
  }
}

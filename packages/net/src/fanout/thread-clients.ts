import { closeSync, fstatSync } from 'node:fs';
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
  /** Its TLS handshake failed; its descriptor is still open. */
  | { what: 'refused'; client: number; reason: string }
  /** Its descriptor is closed, whether it joined or not; the last event of each. */
  | { what: 'left'; client: number; reason?: string | undefined }
  /** All of them are closed, after the order. */
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

/** A client whose descriptor the thread has. */
interface Given {
  fd: number;
  /** Of the socket: tells it from a later one with the same descriptor. */
  inode: number;
  state: 'given' | 'joined' | 'refused';
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
  readonly #clients = new Map<number, Given>();
  /** Undefined before there is a thread. */
  #order: ((order: ClientsOrder) => void) | undefined;
  #wasOpen = false;
  #closing = false;
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

  /** Clients whose descriptors are open: those in a handshake included, and those refused that are still told why. */
  get size(): number {
    return this.#clients.size;
  }

  get counts() {
    return this.#counts.read();
  }

  /** Gives a non-blocking descriptor to the thread. */
  add(client: number, fd: number): void {
    this.#clients.set(client, { fd, inode: fstatSync(fd).ino, state: 'given' });
    this.#order?.({ what: 'take', client, fd });
  }

  /** Uses other certificates for handshakes from now on. */
  secure(tls: TlsServer): void {
    this.task.tls = tls;
    this.#order?.({ what: 'secure', tls });
  }

  /** The thread lets the clients take what is queued for them, for a second at most, and closes them. */
  close(): Promise<void> {
    this.#closing = true;
    if (this.#order) this.#order({ what: 'close' });
    else this.lost('no data came');
    return this.#whenClosed;
  }

  /** A thread takes orders: the first, or one that replaces one that {@link failed}. */
  serve(order: (order: ClientsOrder) => void): void {
    this.#order = order;
    for (const [client, { fd }] of this.#clients) order({ what: 'take', client, fd });
    if (this.#closing) order({ what: 'close' });
  }

  /** Takes an event of the thread. */
  take(event: ClientsEvent): void {
    if (event.what === 'opened') this.#opened();
    else if (event.what === 'closed') this.#closed();
    else if (event.what === 'joined') this.#joined(event.client);
    else if (event.what === 'refused') this.#refused(event.client, event.reason);
    else this.#left(event.client, event.reason);
  }

  /**
   * The thread failed, and closed nothing: its clients are disconnected. Those that come wait for another thread.
   * @returns how many were disconnected, those in a handshake included
   */
  failed(reason: string): number {
    const { size } = this;
    this.isOpen = false;
    this.#order = undefined;
    this.#counts.left(this.counts.clients.now);
    for (const client of [...this.#clients.keys()]) this.#lost(client, reason);
    return size;
  }

  /** As {@link failed}, where there will be no other thread. */
  lost(reason: string): number {
    const size = this.failed(reason);
    this.#order = (order) => {
      if (order.what === 'take') this.#lost(order.client, reason);
    };
    this.#closed();
    return size;
  }

  #opened(): void {
    this.isOpen = true;
    // The listener accepts already if the thread replaces another.
    if (!this.#wasOpen) this.events.opened();
    this.#wasOpen = true;
  }

  #joined(client: number): void {
    this.#clients.get(client)!.state = 'joined';
    this.events.joined(client);
  }

  #refused(client: number, reason: string): void {
    this.#clients.get(client)!.state = 'refused';
    this.events.refused(client, reason);
  }

  #left(client: number, reason?: string): void {
    const { state } = this.#clients.get(client)!;
    this.#clients.delete(client);
    if (state === 'joined') this.events.left(client, reason);
  }

  #lost(client: number, reason: string): void {
    const given = this.#clients.get(client)!;
    if (isOpen(given)) closeSync(given.fd);
    if (given.state === 'given') this.#refused(client, reason);
    this.#left(client, reason);
  }
}

/** Whether the descriptor is open; not so if its thread has closed it, and failed before it could report that. */
function isOpen({ fd, inode }: Given): boolean {
  try {
    return fstatSync(fd).ino === inode;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBADF') return false;
    throw error;
  }
}

import { reason } from 'mproxy-base';
import { ClientCounts } from '../fanout/client-counts.js';
import { type Direct, Fanout } from '../fanout/fanout.js';
import type { ClientsEvent, ClientsOrder, ClientsTask } from '../fanout/thread-clients.js';
import type { TlsServer } from '../streams.js';
import { BatchVectors } from './batch-vectors.js';
import type { Libc } from './libc.js';
import type { Loop } from './loop.js';
import { StreamConnection } from './streams/connection.js';
import { StreamParts } from './streams/parts.js';
import type { Closable } from './streams/place.js';
import { PlainChannel } from './streams/plain-channel.js';
import { Securing } from './streams/securing.js';
import { LoopTimer } from './streams/streams.js';
import type { ServerContext } from './tls/server-context.js';
import { TicketKeys } from './tls/ticket-keys.js';
import { Tls } from './tls/tls.js';

/** Accepted connections have these on the event loop. */
const NO_FACTS = { peer: undefined, local: undefined };

/** The clients of one listener. */
interface Clients {
  fanout: Fanout;
  report: (event: ClientsEvent) => void;
  /** All of them, those in a handshake and those refused included. */
  connections: Set<Closable>;
  security: ServerContext | undefined;
  /** Descriptors taken that are not closed. */
  taken: number;
  /** No other is taken, and what is open is being closed. */
  closing: boolean;
}

/** The fan-outs of a receiving thread, to clients in its loop. */
export class ThreadFanouts {
  readonly #clients = new Map<number, Clients>();
  readonly #parts: StreamParts;
  /** Used during a call only. */
  readonly #prepared: BatchVectors;
  #tls: Tls | undefined;

  constructor(
    private readonly libc: Libc,
    private readonly loop: Loop,
    private readonly report: (number: number, event: ClientsEvent) => void,
  ) {
    this.#parts = new StreamParts(libc, loop);
    this.#prepared = new BatchVectors(libc);
  }

  open({ number, settings, counts, tls }: ClientsTask): Fanout {
    const report = (event: ClientsEvent) => this.report(number, event);
    const events = {
      joined: (client: number) => report({ what: 'joined', client }),
      left: (client: number, reason?: string) => left(clients, client, reason),
    };
    const timer = (onDue: () => void) => new LoopTimer(this.loop, onDue);
    // A record that TLS has begun must be given to it again (see Channel.send), which a client that is behind could not promise.
    const prepared = tls ? undefined : this.#prepared;
    const clients: Clients = {
      fanout: new Fanout(settings, new ClientCounts(counts), events, timer, prepared),
      ...{ report, connections: new Set(), taken: 0, closing: false },
      security: tls && this.#secure(tls),
    };
    this.#clients.set(number, clients);
    report({ what: 'opened' });
    return clients.fanout;
  }

  obey(number: number, order: ClientsOrder): void {
    const clients = this.#clients.get(number)!;
    if (order.what === 'take') this.#take(clients, order.client, order.fd);
    else if (order.what === 'secure') {
      clients.security?.free();
      clients.security = this.#secure(order.tls);
    } else clients.fanout.close(() => closeRest(clients));
  }

  /** The thread ends: nothing is served any more. */
  abort(): void {
    for (const { fanout } of this.#clients.values()) fanout.abort(new Error('the receiving thread ended'));
  }

  #secure(tls: TlsServer): ServerContext {
    // All clients of a listener are in one thread: no other resumes their sessions.
    this.#tls ??= new Tls(this.libc, new TicketKeys());
    return this.#tls.server(tls);
  }

  #take(clients: Clients, client: number, fd: number): void {
    const { security, connections, report } = clients;
    clients.taken++;
    try {
      if (security) this.#handshake(clients, security, client, fd);
      else {
        const channel = new PlainChannel(this.libc, fd);
        const connection = new StreamConnection(this.#parts, fd, channel, NO_FACTS, connections);
        clients.fanout.add(client, connection, this.#directTo(connection));
      }
    } catch (error) {
      this.libc.close(fd);
      report({ what: 'refused', client, reason: reason(error) });
      left(clients, client);
    }
  }

  #directTo(connection: StreamConnection): Direct {
    return {
      sendPrepared: () => connection.offerVectors(this.#prepared.vectors),
      offer: (chunk) => connection.offer(chunk),
    };
  }

  #handshake(clients: Clients, security: ServerContext, client: number, fd: number): void {
    const { fanout, report, connections } = clients;
    const channel = security.accept(fd);
    try {
      new Securing(this.#parts, fd, channel, NO_FACTS, connections, {
        onConnection: (connection) => fanout.add(client, connection, this.#directTo(connection)),
        onHandshakeError: (error) => report({ what: 'refused', client, reason: reason(error) }),
        onClosed: () => left(clients, client),
      });
    } catch (error) {
      channel.free();
      throw error;
    }
  }
}

/** Closes those that are not clients of the fan-out, which has none any more: those in a handshake, and those refused. */
function closeRest(clients: Clients): void {
  clients.closing = true;
  for (const connection of [...clients.connections]) connection.close();
  if (clients.taken === 0) clients.report({ what: 'closed' });
}

/** A descriptor is closed. */
function left(clients: Clients, client: number, reason?: string): void {
  clients.report({ what: 'left', client, reason });
  if (--clients.taken === 0 && clients.closing) clients.report({ what: 'closed' });
}

import type { MessagePort } from 'node:worker_threads';
import { reason, type SocketAddress, showAddress } from 'mproxy-base';
import type { Fields } from 'mproxy-flow/events';
import type { Connection, ListenAddress, Streams } from 'mproxy-net';
import { chooseEngine } from 'mproxy-net/engine';
import { ThreadDescriptors } from 'mproxy-net/linux/thread-descriptors';
import { useTicketSeed } from 'mproxy-net/linux/tls/thread-keys';
import { ThreadLoads } from 'mproxy-net/thread-loads';
import type { ClientLimitOptions } from 'mproxy-service/client-limit';
import { Connections } from 'mproxy-service/connections';
import type { Context } from 'mproxy-service/context';
import { Deadlines } from 'mproxy-service/deadlines';
import type { Service } from 'mproxy-service/service';
import { type ServerOptions, type Serving, tcpServer } from 'mproxy-service/tcp-server';
import { LineBuffer } from './access-log/line-buffer.js';
import { clientLimits } from './connection-layers.js';
import { SharedClientCounts } from './counters/client-counts.js';
import { Layout } from './counters/layout.js';
import { WorkerCounters } from './counters/worker-counters.js';
import { ListenerSecurity } from './listener-security.js';
import { Seldom } from './seldom.js';
import { gatewayStack } from './stack.js';
import { stackOf } from './stack-of.js';
import { UpstreamHealth } from './upstream-health.js';
import {
  type Order,
  plainError,
  type Report,
  type WorkerEvent,
  type WorkerTask,
  type WorkerTls,
} from './worker-messages.js';
import { threadNumber } from './worker-number.js';

/** It reports a refused handshake so often, in milliseconds: on the Internet there is always one. */
const REFUSED_MS = 60_000;

/** Serves the connections that this thread accepts, by a stack of its own. An exception that nothing catches ends the thread alone. */
export class GatewayWorker {
  readonly #streams: Streams;
  readonly #loads: ThreadLoads | undefined;
  readonly #counters: WorkerCounters;
  readonly #log: LineBuffer;
  /** Each worker has its part of the connections that all may have. */
  readonly #connections: Connections;
  readonly #clients: ClientLimitOptions | undefined;
  readonly #security: ListenerSecurity | undefined;
  /** Of the upstreams; replaced as a whole. */
  readonly #credentials: WorkerTls['upstreams'][number][];
  readonly #building: Promise<Service<Connection, void>[]>;
  readonly #servers: Serving[] = [];
  readonly #refusals = new Seldom(REFUSED_MS);

  constructor(
    private readonly port: MessagePort,
    private readonly task: WorkerTask,
  ) {
    const { config, number, shared, tls, clients } = task;
    if (shared) new ThreadDescriptors(shared.descriptors).note(threadNumber(number));
    this.#loads = shared && new ThreadLoads(shared.loads, number);
    this.#loads?.begin();
    if (tls?.tickets) useTicketSeed(tls.tickets);
    this.#streams = chooseEngine(task.engine).engine.streams;
    const layout = new Layout(config);
    const counters = new WorkerCounters(layout, task.counters);
    this.#counters = counters;
    this.#log = new LineBuffer(
      (lines, records) => this.#report({ what: 'log', lines, records }, [lines.buffer]),
      () => counters.logDropped(),
    );
    this.#connections = new Connections(Math.max(1, Math.ceil(config.maxConnections / task.workers)));
    this.#clients = clientLimits(config, counters, clients && new SharedClientCounts(clients, number));
    this.#security = tls?.server && new ListenerSecurity(tls.server, config);
    this.#credentials = [...(tls?.upstreams ?? [])];
    this.#building = this.#build(layout);
  }

  take(order: Order): void {
    if (order.what === 'listen') void this.#listen(order);
    else if (order.what === 'secure') this.#secure(order.tls);
    else if (order.what === 'drain') void this.#drain(order.grace);
    else this.#log.written(order.bytes);
  }

  #report(report: Report, transfer?: ArrayBuffer[]): void {
    this.port.postMessage(report, transfer);
  }

  #notice(event: WorkerEvent, fields: Fields): void {
    this.#report({ what: 'noticed', event, fields });
  }

  async #build(layout: Layout): Promise<Service<Connection, void>[]> {
    const { config, health } = this.task;
    const streams = this.#streams;
    try {
      const built = await gatewayStack(config, {
        ...{ streams, layout, counters: this.#counters, log: this.#log },
        deadlines: new Deadlines(streams),
        health: new UpstreamHealth(layout.upstreams.length, health),
        clients: this.#clients,
        ...{ security: this.#security, credentials: this.#credentials },
        onConnectError: (upstream, error) =>
          this.#notice('upstream_failed', { upstream, reason: upstreamReason(error) }),
        onError: (error) => this.#notice('service_failed', { reason: stackOf(error) }),
      });
      this.#report({ what: 'ready' });
      return built;
    } catch (error) {
      this.#report({ what: 'failed', error: plainError(error) });
      return [];
    }
  }

  async #listen({ id, listener, at }: Extract<Order, { what: 'listen' }>): Promise<void> {
    try {
      const { backlog, listen } = this.task.config;
      const security = listen[listener]!.tls ? this.#security : undefined;
      const options = {
        ...{ streams: this.#streams, backlog, connections: this.#connections },
        onError: (error: unknown, context: Context | undefined) =>
          context
            ? this.#notice('service_failed', { reason: reason(error) })
            : this.#notice('accept_failed', { listener: listen[listener]!.text, reason: reason(error) }),
        admit: security && (await this.#admission()),
        ...security?.options(listener, (error, peer) => this.#refused(listener, error, peer)),
      };
      const shared = this.#loads;
      const own: ListenAddress = shared && 'fd' in at ? { ...at, shared } : at;
      const services = await this.#building;
      const server = await tcpServer(own, options).serve(services[listener]!);
      this.#servers.push(server);
      security?.opened(listener, server);
      this.#report({ what: 'listening', id, local: server.addresses[0] });
    } catch (error) {
      this.#report({ what: 'listening', id, error: plainError(error) });
    }
  }

  /** In its TLS handshake, too, a connection is one of its client. */
  async #admission(): Promise<ServerOptions['admit']> {
    if (!this.#clients) return undefined;
    return (await import('mproxy-service/client-limit')).clientAdmission(this.#clients);
  }

  /** A TLS handshake failed. That the peer has left says nothing: those who look whether a port is open do so. */
  #refused(listener: number, error: Error, peer: SocketAddress | undefined): void {
    this.#counters.handshake(listener, 'failed');
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET' || !this.#refusals.takes()) return;
    const { text } = this.task.config.listen[listener]!;
    const shown = peer ? showAddress(peer) : 'a client of a Unix socket';
    this.#notice('handshake_failed', { listener: text, peer: shown, reason: reason(error) });
  }

  /** Other certificates, which the main thread has checked. */
  #secure({ server, upstreams }: WorkerTls): void {
    try {
      if (server) this.#security!.use(server);
      this.#credentials.splice(0, this.#credentials.length, ...upstreams);
    } catch (error) {
      this.#notice('reload_failed', { reason: reason(error) });
    }
  }

  async #drain(grace: number): Promise<void> {
    for (const server of this.#servers) server.close();
    this.#report({ what: 'closed' });
    const cut = await Promise.all(this.#servers.map((server) => server.drain(grace)));
    this.#log.flush();
    this.#report({ what: 'drained', cut: cut.reduce((sum, count) => sum + count, 0) });
  }
}

/** Why an upstream could not be connected to. What are flags of other programs are keys of a route here. */
function upstreamReason(error: Error): string {
  return reason(error).replace(/--tls-(\w+)/g, 'tls_$1');
}

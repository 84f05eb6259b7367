import { once } from 'node:events';
import { parentPort } from 'node:worker_threads';
import { reason } from 'mproxy-base';
import type { Connection, ListenAddress } from 'mproxy-net';
import { chooseEngine } from 'mproxy-net/engine';
import { ThreadDescriptors } from 'mproxy-net/linux/thread-descriptors';
import { useTicketSeed } from 'mproxy-net/linux/tls/thread-keys';
import { ThreadLoads } from 'mproxy-net/thread-loads';
import { Connections } from 'mproxy-service/connections';
import { Deadlines } from 'mproxy-service/deadlines';
import type { Service } from 'mproxy-service/service';
import { type Serving, tcpServer } from 'mproxy-service/tcp-server';
import { LineBuffer } from './access-log/line-buffer.js';
import { SharedClientCounts } from './counters/client-counts.js';
import { Layout } from './counters/layout.js';
import { WorkerCounters } from './counters/worker-counters.js';
import { ListenerSecurity } from './listener-security.js';
import { gatewayStack } from './stack.js';
import { stackOf } from './stack-of.js';
import { UpstreamHealth } from './upstream-health.js';
import { type Order, plainError, type Report, type WorkerTask, type WorkerTls } from './worker-messages.js';
import { threadNumber } from './worker-number.js';

/** A worker: serves the connections that it accepts, by a stack of its own. An exception that nothing catches ends it alone. */

const port = parentPort!;
const [task] = (await once(port, 'message')) as [WorkerTask];
const { config, number, shared } = task;
const report = (report: Report, transfer?: ArrayBuffer[]) => port.postMessage(report, transfer);
if (shared) new ThreadDescriptors(shared.descriptors).note(threadNumber(number));
const loads = shared && new ThreadLoads(shared.loads, number);
loads?.begin();
if (task.tls?.tickets) useTicketSeed(task.tls.tickets);
const { streams } = chooseEngine(task.engine).engine;
const layout = new Layout(config);
const counters = new WorkerCounters(layout, task.counters);
const log = new LineBuffer(
  (lines, records) => report({ what: 'log', lines, records }, [lines.buffer]),
  () => counters.logDropped(),
);
/** Each worker has its part of the connections that all may have. */
const connections = new Connections(Math.max(1, Math.ceil(config.maxConnections / task.workers)));
const security = task.tls?.server && new ListenerSecurity(task.tls.server, config);
const credentials = [...(task.tls?.upstreams ?? [])];
const building = build();
const servers: Serving[] = [];

async function build(): Promise<Service<Connection, void>[]> {
  try {
    const built = await gatewayStack(config, {
      ...{ streams, layout, counters, log },
      deadlines: new Deadlines(streams),
      health: new UpstreamHealth(layout.upstreams.length, task.health),
      clients: task.clients && new SharedClientCounts(task.clients, number),
      ...{ security, credentials },
      onTlsError: (upstream, error) =>
        report({ what: 'upstream failed', upstream, reason: tlsReason(error) }),
      onError: (error) => report({ what: 'service failed', reason: stackOf(error) }),
    });
    report({ what: 'ready' });
    return built;
  } catch (error) {
    report({ what: 'failed', error: plainError(error) });
    return [];
  }
}

async function listen({ id, listener, at }: Extract<Order, { what: 'listen' }>): Promise<void> {
  try {
    const { backlog } = config;
    const options = {
      ...{ streams, backlog, connections, onError: serverFailed },
      ...(config.listen[listener]!.tls &&
        security?.options(listener, () => counters.handshake(listener, 'failed'))),
    };
    const own: ListenAddress = loads && 'fd' in at ? { ...at, shared: loads } : at;
    const services = await building;
    const server = await tcpServer(own, options).serve(services[listener]!);
    servers.push(server);
    if (config.listen[listener]!.tls) security?.opened(listener, server);
    report({ what: 'listening', id, local: server.addresses[0] });
  } catch (error) {
    report({ what: 'listening', id, error: plainError(error) });
  }
}

/** Why TLS with an upstream failed. What are flags of other programs are keys of a route here. */
function tlsReason(error: Error): string {
  return reason(error).replace(/--tls-(\w+)/g, 'tls_$1');
}

function serverFailed(error: unknown): void {
  report({ what: 'service failed', reason: reason(error) });
}

/** The main thread has checked them. */
function secure({ server, upstreams }: WorkerTls): void {
  try {
    if (server) security!.use(server);
    credentials.splice(0, credentials.length, ...upstreams);
  } catch (error) {
    serverFailed(error);
  }
}

async function drain(grace: number): Promise<void> {
  for (const server of servers) server.close();
  report({ what: 'closed' });
  const cut = await Promise.all(servers.map((server) => server.drain(grace)));
  log.flush();
  report({ what: 'drained', cut: cut.reduce((sum, count) => sum + count, 0) });
}

port.on('message', (order: Order) => {
  if (order.what === 'listen') void listen(order);
  else if (order.what === 'secure') secure(order.tls);
  else if (order.what === 'drain') void drain(order.grace);
  else log.written(order.bytes);
});

import { setTimeout as wait } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { showCount } from 'mproxy-base';
import type { Figures, Lost, Notice, Program, Source } from 'mproxy-flow';
import { sourceCounts } from 'mproxy-flow/counts';
import { type Fields, type LimitedEvent, RELOAD_FAILED } from 'mproxy-flow/events';
import { NoticeLimit } from 'mproxy-flow/notices';
import type { Streams } from 'mproxy-net';
import { descriptorLimit } from 'mproxy-net/descriptors';
import type { AccessLogOutput } from './access-log/access-log.js';
import { hasTls } from './config/has-tls.js';
import type { AccessLogConfig, GatewayConfig } from './config/types.js';
import { clientMemory } from './counters/client-counts.js';
import { GatewayCounters } from './counters/gateway-counters.js';
import { Layout, WORKER } from './counters/layout.js';
import { metricsOf } from './counters/metrics.js';
import { tablesOf } from './counters/tables.js';
import { usableCpus } from './cpus.js';
import type { DevServers } from './dev-servers.js';
import {
  ACCEPT_FAILED,
  DESCRIPTORS_FEW,
  HANDSHAKE_FAILED,
  PROTOCOL_LATER,
  REQUESTS_CUT,
  SERVICE_FAILED,
  UPSTREAM_FAILED,
  WORKERS_REDUCED,
} from './events.js';
import type { GatewaySecurity } from './gateway-security.js';
import { type Listening, listenAll, openShared, type Resolved, resolveListeners } from './listeners.js';
import { UpstreamHealth } from './upstream-health.js';
import type { WorkerEvent } from './worker-messages.js';
import { Workers } from './workers.js';

/**
 * A running gateway, as the main thread has it: it owns the listening sockets, and workers serve their connections. To its program it is a
 * source of requests, which go nowhere from there.
 */
export class Gateway implements Source {
  readonly name = 'requests';
  readonly counts = sourceCounts();
  readonly #counters: GatewayCounters;
  readonly #health: UpstreamHealth;
  readonly #workers: Workers;
  #security: GatewaySecurity | undefined;
  #sockets: readonly Listening[] = [];
  #devServers: DevServers | undefined;
  /** Connections that were cut at the end. */
  #cut = 0;
  #accessLog: AccessLogOutput | undefined;
  #stop!: () => void;
  readonly #stopped = new Promise<void>((resolve) => {
    this.#stop = resolve;
  });

  constructor(
    private readonly program: Program,
    private readonly config: GatewayConfig,
    private readonly onNotice: (notice: Notice) => void,
    /** See {@link WorkersOptions}. */
    first: Worker,
  ) {
    const { engine, streams } = program;
    const layout = new Layout(config);
    const count = streams.share ? (config.workers ?? usableCpus()) : 1;
    this.#counters = new GatewayCounters(layout, count);
    this.#health = new UpstreamHealth(layout.upstreams.length);
    const clients = config.maxConnectionsPerIp === undefined ? undefined : clientMemory(count);
    const limited = (subject: string, event: LimitedEvent) => {
      const limit = new NoticeLimit(subject, program);
      return (fields: Fields) => limit.emit(event, fields);
    };
    const reports: Record<WorkerEvent, (fields: Fields) => void> = {
      service_failed: limited('services', SERVICE_FAILED),
      accept_failed: limited('listeners', ACCEPT_FAILED),
      upstream_failed: limited('upstreams', UPSTREAM_FAILED),
      handshake_failed: limited('clients', HANDSHAKE_FAILED),
      reload_failed: ({ reason }) => program.emit(RELOAD_FAILED, { reason: String(reason) }),
    };
    this.#workers = new Workers({
      ...{ count, counters: this.#counters, shares: streams.share !== undefined, program, first },
      task: { config, engine: engine.name, health: this.#health.memory, clients },
      tls: () => this.#security?.forWorker(),
      noticed: (event, fields) => reports[event](fields),
      log: (lines, records) => this.#accessLog?.write(lines, records),
    });
  }

  /** @throws MPROXY_RESOLVE, MPROXY_LISTEN, and others of the configuration; then nothing is open */
  async open(): Promise<void> {
    const { program, config } = this;
    if (config.protocols.includes('http2')) program.emit(PROTOCOL_LATER, { protocol: 'http2' });
    if (hasTls(config)) {
      const { GatewaySecurity } = await import('./gateway-security.js');
      this.#security = new GatewaySecurity(config, program, (tls) => this.#workers.secure(tls));
    }
    const limit = descriptorLimit();
    if (limit !== undefined && limit < 2 * config.maxConnections) {
      const fits = Math.floor(limit / 2);
      program.emit(DESCRIPTORS_FEW, { connections: config.maxConnections, limit, fits });
    }
    const resolved = await resolveListeners(config.listen, program.stopping);
    try {
      if (config.accessLog) await this.#openLog(config.accessLog);
      const { share } = program.streams;
      if (share) await this.#listenShared(share, resolved);
      else await this.#listenAlone(resolved);
    } catch (error) {
      await this.#end();
      throw error;
    }
    if (config.run.length > 0) {
      const { DevServers } = await import('./dev-servers.js');
      this.#devServers = new DevServers(config.run, this.onNotice);
    }
    program.route(program.source(this), []);
  }

  /** Serves until it is stopped. */
  async run(): Promise<void> {
    await this.#stopped;
    const { drain, grace } = this.config;
    await wait(drain);
    for (const { socket } of this.#sockets) socket?.refuse();
    this.#cut = await this.#workers.drain(grace, () => this.#closeSockets());
    if (this.#cut > 0) this.program.emit(REQUESTS_CUT, { connections: this.#cut, grace });
    await this.#end();
  }

  stop(): void {
    this.#devServers?.guard();
    this.#stop();
  }

  figures(): Figures {
    const counters = this.#counters;
    const { running, count, restarts, requestsLost } = this.#workers;
    const others = {
      ...{ running, restarts, requestsLost, log: this.#accessLog?.counts },
      isUp: (upstream: number) => this.#health.isUp(upstream),
    };
    counters.remember(performance.now());
    const { upstreams } = counters.layout;
    const down = upstreams.filter((_, i) => !others.isUp(i));
    return {
      metrics: metricsOf(counters, others),
      tables: tablesOf(counters, others),
      problems: [
        ...down.map((upstream) => `${upstream}: it failed, and is left out for a time`),
        ...(running < count && running > 0 ? [`${count - running} of ${count} workers are not running`] : []),
      ],
      ...(running === 0 && { unhealthy: 'no worker is running' }),
    };
  }

  /** What was lost since the start. */
  losses(): Lost[] {
    const { requestsLost } = this.#workers;
    const dropped = this.#counters.sum(WORKER.logDropped);
    return [
      lost('workers', 'requests', requestsLost, 'request', 'their worker ended'),
      lost('stop', 'connections', this.#cut, 'connection', 'they did not end in time', 'raise --grace'),
      lost('access log', 'dropped', dropped, 'record', 'it was not written fast enough'),
    ]
      .filter(({ count }) => count > 0)
      .concat(this.#accessLog?.losses() ?? []);
  }

  async #listenShared(share: NonNullable<Streams['share']>, resolved: readonly Resolved[]): Promise<void> {
    const { program, config } = this;
    this.#sockets = await openShared(resolved, { share, backlog: config.backlog, program });
    await this.#workers.start();
    await this.#workers.listen(secureFirst(config, this.#sockets));
  }

  async #listenAlone(resolved: readonly Resolved[]): Promise<void> {
    const { program, config } = this;
    if (config.workers !== undefined && config.workers > 1)
      program.emit(WORKERS_REDUCED, { workers: config.workers, engine: program.engine.name });
    await this.#workers.start();
    for (const one of secureFirst(config, resolved))
      await listenAll(one, program, (at) => this.#workers.listenAlone(one.listener, at));
  }

  async #openLog(config: AccessLogConfig): Promise<void> {
    const { program, onNotice } = this;
    const { openAccessLog } = await import('./access-log/access-log.js');
    const log = await openAccessLog(config, { engine: program.engine.name, onNotice });
    this.#accessLog = log;
    if (!config.to.startsWith('udp:')) program.onReload(() => log.reload());
  }

  #closeSockets(): void {
    for (const { socket } of this.#sockets) socket?.close();
  }

  async #end(): Promise<void> {
    this.#closeSockets();
    await Promise.all([this.#workers.end(), this.#devServers?.stop()]);
    await this.#accessLog?.close();
  }
}

/** TLS listeners before the others, which may redirect to them: their port is known before there are requests. */
function secureFirst<T extends { listener: number }>({ listen }: GatewayConfig, all: readonly T[]): T[] {
  return [...all].sort((a, b) => Number(listen[b.listener]!.tls) - Number(listen[a.listener]!.tls));
}

function lost(
  endpoint: string,
  counter: string,
  count: number,
  word: string,
  reason: string,
  remedy?: string,
): Lost {
  return {
    endpoint,
    counter,
    label: undefined,
    count,
    amount: 0,
    lost: showCount(count, word),
    reason,
    remedy,
  };
}

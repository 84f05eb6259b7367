import {
  type Address,
  choosePayload,
  clientContext,
  forbidLoops,
  forbidTwins,
  type Handle,
  openUdpSink,
  openUdpSources,
  type Resolved,
  resolveAll,
  resolveFirst,
  type Service,
  type Sink,
  startService,
  TcpConnectSource,
  type UdpSink,
  usage,
} from 'mproxy-route';
import { type ForwardOptions, readOptions } from './options.js';

export type { Handle, Notice, Stats } from 'mproxy-route';
export { MproxyError } from 'mproxy-route';
export type { ForwardOptions } from './options.js';

/**
 * Forwards UDP and multicast, and TCP and TLS upstreams, to UDP destinations.
 *
 * `done` rejects with `MPROXY_UPSTREAM` when an upstream failed, with `once`.
 */
export function startForward(options: ForwardOptions, signal?: AbortSignal): Handle {
  return startService(options, signal, (service) => new Forward(service, options).open());
}

class Forward {
  readonly #read: ReturnType<typeof readOptions>;

  constructor(
    private readonly service: Service,
    private readonly options: ForwardOptions,
  ) {
    this.#read = readOptions(options);
  }

  async open(): Promise<void> {
    const listens = await resolved(this.#read.listens, resolveAll);
    const downstreams = await resolved(this.#read.downstreams, async (address) => [
      await resolveFirst(address),
    ]);
    const group = this.#ownGroup(listens);
    if (downstreams.length === 0 && !group && !this.#read.tee) {
      throw usage('--udp-downstream-addr', 'missing', 'there is nowhere to send', 'or use --tee');
    }
    forbidLoops(listens, downstreams);
    // Only the first listener knows what came from this command.
    if (group) forbidLoops(listens.slice(1), [group]);
    forbidTwins(this.service.engine, listens, downstreams);
    const own = await this.#openUpstreams(downstreams, group);
    await this.#openListens(listens, downstreams, own);
  }

  /** The first address to listen on, where it is a group: TCP upstreams are sent to it, for others in the group. */
  #ownGroup([first]: Resolved[]): Resolved | undefined {
    return this.#read.upstreams.length > 0 && first?.answers[0]?.interface ? first : undefined;
  }

  /** @returns the sinks to the command's own group */
  async #openUpstreams(downstreams: Resolved[], group: Resolved | undefined): Promise<UdpSink[]> {
    const { service } = this;
    const { upstreams, flushAfter, idleTimeout, greeting, once } = this.#read;
    const targets = group ? [...downstreams, group] : downstreams;
    const answers = targets.flatMap((target) => target.answers);
    const payload = await choosePayload(this.#read.payload, answers);
    const common = { payload, flushAfter, idleTimeout, greeting, once };
    const tls = this.#tls();
    const runs: Promise<void>[] = [];
    const own: UdpSink[] = [];
    for (const address of upstreams) {
      const { frame = 'lines' } = address.keys;
      const secure = address.keys.tls ? tls : undefined;
      const source = new TcpConnectSource(service, address, { ...common, frame, tls: secure });
      const sinks = await this.#openSinks(targets, true);
      if (group) own.push(sinks.at(-1)!);
      runs.push(service.route(source, [...sinks, ...this.#tee()]));
    }
    if (once) void Promise.allSettled(runs).then(() => service.stop());
    return own;
  }

  async #openListens(listens: Resolved[], downstreams: Resolved[], own: UdpSink[]): Promise<void> {
    const { service } = this;
    const others = listens.flatMap(({ answers }) => answers);
    for (const [i, { address, answers }] of listens.entries()) {
      for (const source of await openUdpSources(service, address, answers, others)) {
        if (i === 0) for (const sink of own) source.ignore(sink.own);
        service.route(source, [...(await this.#openSinks(downstreams, false)), ...this.#tee()]);
      }
    }
  }

  /** Every route has sockets of its own. */
  #openSinks(targets: Resolved[], waits: boolean): Promise<UdpSink[]> {
    return Promise.all(
      targets.map(({ address, answers }) => openUdpSink(this.service, address, answers[0]!, waits)),
    );
  }

  #tee(): Sink[] {
    const { tee } = this.#read;
    return tee ? [this.service.stdout(tee.frame, false)] : [];
  }

  #tls() {
    const { tlsServername: servername, tlsInsecure: insecure = false } = this.options;
    if (!this.#read.upstreams.some(({ keys }) => keys.tls)) return undefined;
    if (insecure)
      this.service.loss('tls: --tls-insecure: upstreams are not verified; anyone can pose as them');
    return { context: clientContext(this.options), servername, insecure };
  }
}

function resolved(
  addresses: Address[],
  resolve: (address: Address) => Promise<Resolved['answers']>,
): Promise<Resolved[]> {
  return Promise.all(addresses.map(async (address) => ({ address, answers: await resolve(address) })));
}

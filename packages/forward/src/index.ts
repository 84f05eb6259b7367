import {
  type Address,
  type AddressRule,
  type CommonOptions,
  choosePayload,
  clientContext,
  forbidLoops,
  forbidTwins,
  type Handle,
  type KeyOptions,
  keyDefaults,
  openUdpSink,
  openUdpSources,
  parseAddresses,
  parseDuration,
  type Resolved,
  resolveAll,
  resolveFirst,
  type Service,
  type Sink,
  startService,
  TcpConnectSource,
  type TlsClientOptions,
  type UdpSink,
  type UdpSource,
  usage,
} from 'mproxy-route';

export type { Handle, Notice, Stats } from 'mproxy-route';
export { MproxyError } from 'mproxy-route';

/** The options of mproxy-forward: its flags, in camelCase. */
export interface ForwardOptions extends CommonOptions, KeyOptions, TlsClientOptions {
  /** `HOST:PORT[,KEY...]` to listen on; TCP upstreams are sent to the first, where it is a group. */
  udpListenAddr?: string | string[];
  /** `HOST:PORT[,KEY...]` to send to. */
  udpDownstreamAddr?: string | string[];
  /** `HOST:PORT[,KEY...]` or `tls://HOST:PORT[,KEY...]` to connect to. */
  tcpConnectAddr?: string | string[];
  /** Silence of an upstream that counts as failure, as `30s`; default 0, never. */
  idleTimeout?: number | string;
  /** Sent after every connect; `\n`, `\r`, `\t` and `\\` are understood. */
  greeting?: string;
  /** Connect each upstream once, and end when all ended. */
  once?: boolean;
  /** How full a datagram is made, in bytes, 1 to 65,507; default what fits the MTU, at most 8096. */
  payload?: number | string;
  /** How long an unfinished piece of `raw` waits, as `50ms`; default 50 ms. */
  flushAfter?: number | string;
}

export const UDP_LISTEN_ADDR: AddressRule = {
  flag: '--udp-listen-addr',
  keys: ['interface', 'source', 'rcvbuf', 'ttl', 'loop', 'bind', 'sndbuf'],
  listens: true,
};
export const UDP_DOWNSTREAM_ADDR: AddressRule = {
  flag: '--udp-downstream-addr',
  keys: ['interface', 'ttl', 'loop', 'bind', 'sndbuf'],
  listens: false,
};
export const TCP_CONNECT_ADDR: AddressRule = {
  flag: '--tcp-connect-addr',
  keys: ['frame', 'bind', 'tls'],
  listens: false,
};

/**
 * Forwards UDP and multicast, and TCP and TLS upstreams, to UDP destinations.
 *
 * `done` rejects with `MPROXY_UPSTREAM` when an upstream failed, with `once`.
 */
export function startForward(options: ForwardOptions, signal?: AbortSignal): Handle {
  return startService(options, signal, (service) => new Forward(service, options).open());
}

class Forward {
  readonly #options: ForwardOptions;
  readonly #listens: Address[];
  readonly #downstreams: Address[];
  readonly #upstreams: Address[];

  constructor(
    private readonly service: Service,
    options: ForwardOptions,
  ) {
    const defaults = keyDefaults(options);
    this.#options = options;
    this.#listens = parseAddresses(options.udpListenAddr, UDP_LISTEN_ADDR, defaults);
    this.#downstreams = parseAddresses(options.udpDownstreamAddr, UDP_DOWNSTREAM_ADDR, defaults);
    this.#upstreams = parseAddresses(options.tcpConnectAddr, TCP_CONNECT_ADDR, defaults);
    if (this.#listens.length + this.#upstreams.length === 0) {
      throw usage('--udp-listen-addr', 'missing', 'there is no source', 'or use --tcp-connect-addr');
    }
    if (options.once && this.#upstreams.length === 0) {
      throw usage('--once', 'given', 'there is no upstream that could end', 'use --tcp-connect-addr');
    }
  }

  async open(): Promise<void> {
    const listens = await resolved(this.#listens, resolveAll);
    const downstreams = await resolved(this.#downstreams, async (address) => [await resolveFirst(address)]);
    const group = this.#ownGroup(listens);
    if (downstreams.length === 0 && !group && !this.#options.tee) {
      throw usage('--udp-downstream-addr', 'missing', 'there is nowhere to send', 'or use --tee');
    }
    forbidLoops(listens, downstreams);
    forbidTwins(this.service.engine, listens);
    const own = await this.#openUpstreams(downstreams, group);
    await this.#openListens(listens, downstreams, own);
  }

  /** The first address to listen on, where it is a group: TCP upstreams are sent to it, for others in the group. */
  #ownGroup([first]: Resolved[]): Resolved | undefined {
    return this.#upstreams.length > 0 && first?.answers[0]?.interface ? first : undefined;
  }

  /** @returns the sinks to the command's own group */
  async #openUpstreams(downstreams: Resolved[], group: Resolved | undefined): Promise<UdpSink[]> {
    const { service } = this;
    const targets = group ? [...downstreams, group] : downstreams;
    const read = await this.#readUpstreamOptions(targets);
    const runs: Promise<void>[] = [];
    const own: UdpSink[] = [];
    for (const address of this.#upstreams) {
      const frame = address.keys.frame ?? 'lines';
      const { tls, ...rest } = read;
      const source = new TcpConnectSource(service, address, {
        ...rest,
        frame,
        tls: address.keys.tls ? tls : undefined,
      });
      const sinks = await this.#openSinks(targets, true);
      if (group) own.push(sinks.at(-1)!);
      runs.push(service.route(source, [...sinks, ...this.#tee()]));
    }
    if (this.#options.once) void Promise.allSettled(runs).then(() => service.stop());
    return own;
  }

  async #openListens(listens: Resolved[], downstreams: Resolved[], own: UdpSink[]): Promise<void> {
    const { service } = this;
    const all = listens.flatMap(({ answers }) => answers);
    for (const [i, { address, answers }] of listens.entries()) {
      const sources = await openUdpSources(service, address, answers, all);
      if (i === 0) for (const source of sources) ignoreOwn(source, own);
      for (const source of sources)
        service.route(source, [...(await this.#openSinks(downstreams, false)), ...this.#tee()]);
    }
  }

  /** Every route has sockets of its own. */
  #openSinks(targets: Resolved[], waits: boolean): Promise<UdpSink[]> {
    return Promise.all(
      targets.map(({ address, answers }) => openUdpSink(this.service, address, answers[0]!, waits)),
    );
  }

  #tee(): Sink[] {
    return this.#options.tee ? [this.service.stdout(this.#teeFrame, false)] : [];
  }

  get #teeFrame() {
    return keyDefaults(this.#options).frame ?? 'lines';
  }

  async #readUpstreamOptions(targets: Resolved[]) {
    const { payload, flushAfter = '50ms', idleTimeout = 0, greeting = '', once = false } = this.#options;
    const { tlsServername, tlsInsecure = false } = this.#options;
    const secure = this.#upstreams.some(({ keys }) => keys.tls);
    if (secure && tlsInsecure)
      this.service.loss('tls: --tls-insecure: upstreams are not verified; anyone can pose as them');
    return {
      payload: await choosePayload(
        payload,
        targets.flatMap(({ answers }) => answers),
      ),
      flushAfter: parseDuration('--flush-after', flushAfter),
      idleTimeout: parseDuration('--idle-timeout', idleTimeout),
      greeting: Buffer.from(readEscapes(greeting)),
      once,
      tls: secure
        ? { context: clientContext(this.#options), servername: tlsServername, insecure: tlsInsecure }
        : undefined,
    };
  }
}

function resolved(
  addresses: Address[],
  resolve: (address: Address) => Promise<Resolved['answers']>,
): Promise<Resolved[]> {
  return Promise.all(addresses.map(async (address) => ({ address, answers: await resolve(address) })));
}

function ignoreOwn(source: UdpSource, own: UdpSink[]): void {
  for (const sink of own) source.ignore(sink.own);
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

function readEscapes(text: string): string {
  return text.replace(/\\(.?)/gs, (_, letter: string) => {
    const escaped = ESCAPES[letter];
    if (escaped !== undefined) return escaped;
    throw usage('--greeting', text, `unknown escape \\${letter}`, 'use \\n, \\r, \\t or \\\\');
  });
}

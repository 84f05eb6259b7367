import {
  type Address,
  type AddressRule,
  type Answer,
  ClientsSink,
  type CommonOptions,
  choosePayload,
  failure,
  forbidLoops,
  type Handle,
  type KeyOptions,
  keyDefaults,
  listOf,
  openUdpSink,
  openUdpSources,
  parseAddress,
  parseAddresses,
  parseAllow,
  parseDuration,
  parseInteger,
  parseSize,
  type Resolved,
  resolveAll,
  resolveFirst,
  type Service,
  type Sink,
  startService,
  TcpListenSource,
  TlsIdentities,
  type TlsServerOptions,
  usage,
} from 'mproxy-route';

export type { Handle, Notice, Stats } from 'mproxy-route';
export { MproxyError } from 'mproxy-route';

/** The options of mproxy-reverse: its flags, in camelCase. */
export interface ReverseOptions extends CommonOptions, KeyOptions, TlsServerOptions {
  /** `HOST:PORT[,KEY...]` to listen on, into the group. */
  udpListenAddr?: string | string[];
  /** `HOST:PORT[,KEY...]` or `tls://HOST:PORT[,KEY...]` to accept senders on, into the group. */
  tcpListenAddr?: string | string[];
  /** `GROUP:PORT[,KEY...]`, the group in the middle; default `[ff02::1]:9918`. */
  multicastAddr?: string;
  /** `HOST:PORT[,KEY...]` or `tls://HOST:PORT[,KEY...]` to accept clients on, who get what the group delivers. */
  tcpOutputAddr?: string | string[];
  /** `HOST:PORT[,KEY...]` to send to what the group delivers. */
  udpOutputAddr?: string | string[];
  /** Bytes queued at most for a client that does not keep up; default 8 MiB, at least 64 KiB. */
  clientBuffer?: number | string;
  /** How long a client may take nothing of what is queued for it, as `5m`; default 5 minutes, 0 for ever. */
  clientTimeout?: number | string;
  /** Clients at most on each `tcpOutputAddr`; default 1000. */
  maxClients?: number | string;
  /** Networks whose hosts may connect, `192.168.0.0/16`; default all. */
  allow?: string | string[];
  /** How full a datagram is made, in bytes, 1 to 65,507; default what fits the MTU, at most 8096. */
  payload?: number | string;
  /** How long an unfinished piece of `raw` waits, as `50ms`; default 50 ms. */
  flushAfter?: number | string;
}

const DEFAULT_GROUP = '[ff02::1]:9918';

export const UDP_LISTEN_ADDR: AddressRule = {
  flag: '--udp-listen-addr',
  keys: ['interface', 'source', 'rcvbuf'],
  listens: true,
};
export const TCP_LISTEN_ADDR: AddressRule = {
  flag: '--tcp-listen-addr',
  keys: ['frame', 'tls'],
  listens: true,
};
export const MULTICAST_ADDR: AddressRule = {
  flag: '--multicast-addr',
  keys: ['interface', 'source', 'ttl', 'loop', 'bind', 'rcvbuf', 'sndbuf'],
  listens: false,
};
export const TCP_OUTPUT_ADDR: AddressRule = {
  flag: '--tcp-output-addr',
  keys: ['frame', 'tls'],
  listens: true,
};
export const UDP_OUTPUT_ADDR: AddressRule = {
  flag: '--udp-output-addr',
  keys: ['interface', 'ttl', 'loop', 'bind', 'sndbuf'],
  listens: false,
};

/** Takes TCP, TLS and UDP into a multicast group, and gives what the group delivers to TCP, TLS and UDP consumers. */
export function startReverse(options: ReverseOptions, signal?: AbortSignal): Handle {
  return startService(options, signal, (service) => new Reverse(service, options).open());
}

class Reverse {
  readonly #udpListens: Address[];
  readonly #tcpListens: Address[];
  readonly #tcpOutputs: Address[];
  readonly #udpOutputs: Address[];
  readonly #group: Address;

  constructor(
    private readonly service: Service,
    private readonly options: ReverseOptions,
  ) {
    const defaults = keyDefaults(options);
    this.#udpListens = parseAddresses(options.udpListenAddr, UDP_LISTEN_ADDR, defaults);
    this.#tcpListens = parseAddresses(options.tcpListenAddr, TCP_LISTEN_ADDR, defaults);
    this.#tcpOutputs = parseAddresses(options.tcpOutputAddr, TCP_OUTPUT_ADDR, defaults);
    this.#udpOutputs = parseAddresses(options.udpOutputAddr, UDP_OUTPUT_ADDR, defaults);
    this.#group = parseAddress(options.multicastAddr ?? DEFAULT_GROUP, MULTICAST_ADDR, defaults);
    if (!this.#hasInputs && !this.#readsGroup) {
      throw usage(
        '--tcp-output-addr',
        'missing',
        'there is no source and no sink',
        'see mproxy-reverse --help',
      );
    }
    if (this.#hasInputs && this.#readsGroup && this.#group.keys.loop === false) {
      throw usage('loop', 'no', 'what comes in reaches the outputs by the loop of the group', 'leave it out');
    }
  }

  get #hasInputs(): boolean {
    return this.#udpListens.length + this.#tcpListens.length > 0;
  }

  /** Whether this command joins the group. */
  get #readsGroup(): boolean {
    const outputs = this.#tcpOutputs.length + this.#udpOutputs.length;
    return outputs > 0 || (this.options.tee === true && !this.#hasInputs);
  }

  async open(): Promise<void> {
    const group = await resolved(this.#group, resolveFirst);
    if (!group.answers[0]!.interface) {
      throw failure(
        'MPROXY_GROUP',
        '--multicast-addr',
        this.#group.text,
        'not a multicast group',
        'use 224.0.0.0/4 or ff00::/8',
      );
    }
    const listens = await Promise.all(this.#udpListens.map((address) => resolved(address, resolveAll)));
    const outputs = await Promise.all(this.#udpOutputs.map((address) => resolved(address, resolveFirst)));
    forbidLoops(listens, [group, ...outputs]);
    forbidLoops([group], outputs);
    const allow = parseAllow(listOf(this.options.allow));
    const identities = this.#identities();
    // From the end to the beginning: nothing comes in before what it goes to is there.
    if (this.#readsGroup) await this.#openOutputs(group, outputs, { allow, identities });
    await this.#openTcpListens(group, { allow, identities });
    await this.#openUdpListens(group, listens);
  }

  async #openOutputs(group: Resolved, outputs: Resolved[], access: Access): Promise<void> {
    const { service } = this;
    const sinks: Sink[] = [];
    const limits = this.#clientLimits();
    for (const address of this.#tcpOutputs) {
      const clients = new ClientsSink(service, address, {
        ...limits,
        ...this.#accessOf(address, access),
        frame: frameOf(address),
      });
      sinks.push(service.sink(clients));
      await clients.open(await resolveAll(address));
    }
    for (const { address, answers } of outputs)
      sinks.push(await openUdpSink(service, address, answers[0]!, false));
    if (!this.#hasInputs) sinks.push(...this.#tee());
    for (const source of await openUdpSources(service, group.address, group.answers, []))
      service.route(source, sinks);
  }

  async #openTcpListens(group: Resolved, access: Access): Promise<void> {
    const { service, options } = this;
    const payload = await choosePayload(options.payload, group.answers);
    const flushAfter = parseDuration('--flush-after', options.flushAfter ?? '50ms');
    for (const address of this.#tcpListens) {
      const sink = await openUdpSink(service, group.address, group.answers[0]!, true);
      const cut = { frame: frameOf(address), payload, flushAfter };
      const source = new TcpListenSource(service, address, { ...cut, ...this.#accessOf(address, access) });
      service.route(source, [sink, ...this.#tee()]);
      await source.open(await resolveAll(address));
    }
  }

  async #openUdpListens(group: Resolved, listens: Resolved[]): Promise<void> {
    const all = listens.flatMap(({ answers }) => answers);
    for (const { address, answers } of listens) {
      for (const source of await openUdpSources(this.service, address, answers, all)) {
        const sink = await openUdpSink(this.service, group.address, group.answers[0]!, false);
        this.service.route(source, [sink, ...this.#tee()]);
      }
    }
  }

  #tee(): Sink[] {
    return this.options.tee ? [this.service.stdout(keyDefaults(this.options).frame ?? 'lines', false)] : [];
  }

  #clientLimits() {
    const { clientBuffer = '8MiB', clientTimeout = '5m', maxClients = 1000 } = this.options;
    const buffer = parseSize('--client-buffer', clientBuffer);
    if (buffer < SMALLEST_BUFFER)
      throw usage('--client-buffer', String(clientBuffer), 'less than 64KiB, one datagram');
    return {
      clientBuffer: buffer,
      clientTimeout: parseDuration('--client-timeout', clientTimeout),
      maxClients: parseInteger('--max-clients', maxClients, 0, 1_000_000),
    };
  }

  #identities(): TlsIdentities | undefined {
    const secure = [...this.#tcpListens, ...this.#tcpOutputs].some(({ keys }) => keys.tls);
    if (!secure) return undefined;
    const identities = new TlsIdentities(this.options);
    this.service.onReload(() => {
      identities.reload();
      this.service.notice('tls: certificates read again');
    });
    return identities;
  }

  #accessOf({ keys }: Address, { allow, identities }: Access): Access {
    return { allow, identities: keys.tls ? identities : undefined };
  }
}

/** Who may connect, and how. */
interface Access {
  allow: ReturnType<typeof parseAllow>;
  identities: TlsIdentities | undefined;
}

/** One datagram always fits. */
const SMALLEST_BUFFER = 64 * 1024;

function frameOf({ keys }: Address) {
  return keys.frame ?? 'lines';
}

async function resolved(
  address: Address,
  resolve: (address: Address) => Promise<Answer | Answer[]>,
): Promise<Resolved> {
  return { address, answers: listOf(await resolve(address)) };
}

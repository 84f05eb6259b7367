import { usage } from 'mproxy-base';
import {
  choosePayload,
  forbidLoops,
  forbidTwins,
  type Handle,
  MoldSink,
  openUdpSink,
  openUdpSources,
  type Program,
  type Resolved,
  Sessions,
  type Sink,
  startProgram,
  stdoutSink,
  TcpConnectSource,
  type UdpSink,
} from 'mproxy-flow';
import type { Frame } from 'mproxy-framing';
import type { Address } from 'mproxy-net';
import { clientContext, isMold, listOf, type OwnSender, resolveAll, resolveFirst } from 'mproxy-net';
import { type ForwardOptions, readOptions } from './options.js';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';
export type { ForwardOptions } from './options.js';

/**
 * Forwards UDP and multicast, and TCP and TLS upstreams, to UDP destinations.
 *
 * With `once`, `done` rejects with `MPROXY_UPSTREAM` if an upstream failed.
 */
export function startForward(options: ForwardOptions, signal?: AbortSignal): Handle {
  return startProgram(options, signal, (program) => new Forward(program, options).open());
}

class Forward {
  readonly #settings: ReturnType<typeof readOptions>;
  readonly #sessions: Sessions;

  constructor(
    private readonly program: Program,
    private readonly options: ForwardOptions,
  ) {
    this.#settings = readOptions(options);
    this.#sessions = new Sessions(program, this.#settings.receiving);
  }

  async open(): Promise<void> {
    const { stopping } = this.program;
    const [listens, downstreams] = await Promise.all([
      resolved(this.#settings.listens, (address) => resolveAll(address, stopping)),
      resolved(this.#settings.downstreams, async (address) => [await resolveFirst(address, stopping)]),
    ]);
    const group = this.#ownGroup(listens);
    if (downstreams.length === 0 && !group && !this.#settings.tee) {
      throw usage('--udp-downstream-addr', 'missing', 'there is nowhere to send', 'or use --tee');
    }
    forbidLoops(listens, downstreams);
    // Only the first listener ignores datagrams sent by this command.
    if (group) forbidLoops(listens.slice(1), [group]);
    forbidTwins(this.program.engine, listens, downstreams);
    const payload = await choosePayload(
      this.#settings.payload,
      [...downstreams, ...listOf(group)].flatMap(({ answers }) => answers),
    );
    const session = await this.#openSession(downstreams, payload);
    const own = await this.#openUpstreams(downstreams, group, payload, session);
    await this.#openListens(listens, downstreams, session, own);
  }

  /** The first listen address if it is a group: data from TCP upstreams is also sent to it. */
  #ownGroup([first]: Resolved[]): Resolved | undefined {
    return this.#settings.upstreams.length > 0 && first?.answers[0]?.interface ? first : undefined;
  }

  /** Opens one session for all routes to destinations with `frame=mold`. */
  async #openSession(targets: Resolved[], payload: number): Promise<MoldSink | undefined> {
    const molds = targets.filter(({ address }) => isMold(address));
    if (molds.length === 0) return undefined;
    return new MoldSink(this.program, { ...this.#settings.sending, payload, waits: false }).open(molds);
  }

  /** @returns the sockets that send to the group of the first listener */
  async #openUpstreams(
    downstreams: Resolved[],
    group: Resolved | undefined,
    payload: number,
    session: MoldSink | undefined,
  ): Promise<OwnSender[]> {
    const { program } = this;
    const { upstreams, flushAfter, idleTimeout, greeting, once } = this.#settings;
    const common = { payload, flushAfter, idleTimeout, greeting, once };
    const tls = this.#tls();
    const runs: Promise<void>[] = [];
    const plainGroup = group && !isMold(group.address) ? [group] : [];
    const moldGroup = await this.#openSession(listOf(group), payload);
    const own: OwnSender[] = moldGroup?.own ?? [];
    for (const address of upstreams) {
      const { frame = 'lines' } = address.keys;
      const secure = address.keys.tls ? tls : undefined;
      const source = new TcpConnectSource(program, address, { ...common, frame, tls: secure });
      const sinks = await this.#openSinks(downstreams, frame);
      const toGroup = await this.#openSinks(plainGroup, frame);
      own.push(...toGroup.map((sink) => sink.own));
      const to = [...sinks, ...toGroup, ...listOf(session), ...listOf(moldGroup), ...this.#tee()];
      runs.push(program.route(source, to));
    }
    if (once && upstreams.length > 0) void Promise.allSettled(runs).then(() => program.end());
    return own;
  }

  async #openListens(
    listens: Resolved[],
    downstreams: Resolved[],
    session: MoldSink | undefined,
    own: OwnSender[],
  ): Promise<void> {
    const { program } = this;
    const { allow } = this.#settings;
    const others = listens.flatMap(({ answers }) => answers);
    for (const [i, { address, answers }] of listens.entries()) {
      for (const source of await openUdpSources(program, address, answers, others, { allow })) {
        if (i === 0) for (const sender of own) source.ignore(sender);
        const sinks = [...(await this.#openSinks(downstreams)), ...listOf(session), ...this.#tee()];
        program.route(this.#sessions.source(source), sinks);
      }
    }
  }

  /** Every route has its own sockets; destinations with `frame=mold` share one session. */
  #openSinks(targets: Resolved[], frame?: Frame): Promise<UdpSink[]> {
    const plain = targets.filter(({ address }) => !isMold(address));
    return Promise.all(
      plain.map(({ address, answers }) => openUdpSink(this.program, address, answers[0]!, frame)),
    );
  }

  #tee(): Sink[] {
    const { tee } = this.#settings;
    return tee ? [stdoutSink(this.program, tee.frame, false)] : [];
  }

  #tls() {
    const { tlsServername: servername, tlsInsecure: insecure = false } = this.options;
    if (!this.#settings.upstreams.some(({ keys }) => keys.tls)) return undefined;
    if (insecure)
      this.program.loss('tls: --tls-insecure: upstreams are not verified; anyone can pose as them');
    return { context: clientContext(this.options), servername, insecure };
  }
}

function resolved(
  addresses: Address[],
  resolve: (address: Address) => Promise<Resolved['answers']>,
): Promise<Resolved[]> {
  return Promise.all(addresses.map(async (address) => ({ address, answers: await resolve(address) })));
}

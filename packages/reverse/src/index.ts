import { failure } from 'mproxy-base';
import {
  ClientsSink,
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
  TcpListenSource,
} from 'mproxy-flow';
import type { Address } from 'mproxy-net';
import { type Answer, isMold, listOf, resolveAll, resolveFirst, TlsIdentities } from 'mproxy-net';
import { type ReverseOptions, readOptions } from './options.js';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';
export type { ReverseOptions } from './options.js';

/** Sends TCP, TLS and UDP input to a multicast group, and the group's data to TCP, TLS and UDP consumers. */
export function startReverse(options: ReverseOptions, signal?: AbortSignal): Handle {
  return startProgram(options, signal, (program) => new Reverse(program, options).open());
}

class Reverse {
  readonly #settings: ReturnType<typeof readOptions>;
  readonly #sessions: Sessions;
  readonly #identities: TlsIdentities | undefined;

  constructor(
    private readonly program: Program,
    options: ReverseOptions,
  ) {
    this.#settings = readOptions(options);
    this.#sessions = new Sessions(program, this.#settings.receiving);
    const { tcpListens, tcpOutputs } = this.#settings;
    if (![...tcpListens, ...tcpOutputs].some(({ keys }) => keys.tls)) return;
    const identities = new TlsIdentities(options);
    this.#identities = identities;
    program.onReload(() => {
      identities.reload();
      program.notice('tls: certificates read again');
    });
  }

  async open(): Promise<void> {
    const { readsGroup, udpListens, tcpListens, udpOutputs, tcpOutputs } = this.#settings;
    const { stopping } = this.program;
    const first = (address: Address) => resolveFirst(address, stopping);
    const every = (address: Address) => resolveAll(address, stopping);
    const [group, inputs, outputs, senders, clients] = await Promise.all([
      resolved(this.#settings.group, first),
      resolveEach(udpListens, every),
      resolveEach(udpOutputs, first),
      resolveEach(tcpListens, every),
      resolveEach(tcpOutputs, every),
    ]);
    if (!group.answers[0]!.interface) {
      const { text } = group.address;
      throw failure(
        'MPROXY_GROUP',
        '--multicast-addr',
        text,
        'not a multicast group',
        'use 224.0.0.0/4 or ff00::/8',
      );
    }
    forbidLoops(inputs, [group, ...outputs]);
    forbidLoops([group], outputs);
    forbidTwins(this.program.engine, readsGroup ? [...inputs, group] : inputs, [group, ...outputs]);
    const tcp = [...senders, ...clients].flatMap(({ answers }) => answers);
    const payload = await choosePayload(this.#settings.payload, group.answers);
    const session = this.#settings.hasInputs ? await this.#openSession([group], payload) : undefined;
    // Outputs are opened before inputs, so that no data arrives before its destination exists.
    if (readsGroup) await this.#openOutputs(group, outputs, clients, tcp);
    await this.#openSenders(group, senders, tcp, payload, session);
    await this.#openUdpInputs(group, inputs, session);
  }

  async #openOutputs(
    group: Resolved,
    outputs: Resolved[],
    clients: Resolved[],
    tcp: Answer[],
  ): Promise<void> {
    const { program } = this;
    const sinks: Sink[] = [];
    for (const { address, answers } of clients) {
      const sink = new ClientsSink(program, address, { ...this.#settings.limits, ...this.#access(address) });
      sinks.push(program.sink(sink));
      await sink.open(answers, tcp);
    }
    for (const { address, answers } of outputs.filter(({ address }) => !isMold(address))) {
      sinks.push(await openUdpSink(program, address, answers[0]!));
    }
    const out = outputs.flatMap(({ answers }) => answers);
    sinks.push(...listOf(await this.#openSession(outputs, await choosePayload(this.#settings.payload, out))));
    if (!this.#settings.hasInputs) sinks.push(...this.#tee());
    for (const source of await openUdpSources(program, group.address, group.answers, [])) {
      program.route(this.#sessions.source(source), sinks, { last: true });
    }
  }

  /** Opens one session to all destinations with `frame=mold`. */
  async #openSession(targets: Resolved[], payload: number): Promise<MoldSink | undefined> {
    const molds = targets.filter(({ address }) => isMold(address));
    if (molds.length === 0) return undefined;
    return new MoldSink(this.program, { ...this.#settings.sending, payload, waits: false }).open(molds);
  }

  async #openSenders(
    group: Resolved,
    senders: Resolved[],
    tcp: Answer[],
    payload: number,
    session: MoldSink | undefined,
  ): Promise<void> {
    const { program } = this;
    const { flushAfter, limits } = this.#settings;
    for (const { address, answers } of senders) {
      const { frame = 'lines' } = address.keys;
      const sink = session ?? (await openUdpSink(program, group.address, group.answers[0]!, frame));
      const source = new TcpListenSource(program, address, {
        ...{ payload, flushAfter, ...limits },
        ...this.#access(address),
      });
      program.route(source, [sink, ...this.#tee()]);
      await source.open(answers, tcp);
    }
  }

  async #openUdpInputs(group: Resolved, inputs: Resolved[], session: MoldSink | undefined): Promise<void> {
    const others = inputs.flatMap(({ answers }) => answers);
    for (const { address, answers } of inputs) {
      const allowed = { allow: this.#settings.networks };
      for (const source of await openUdpSources(this.program, address, answers, others, allowed)) {
        const sink = session ?? (await openUdpSink(this.program, group.address, group.answers[0]!));
        this.program.route(this.#sessions.source(source), [sink, ...this.#tee()]);
      }
    }
  }

  #tee(): Sink[] {
    const { tee } = this.#settings;
    return tee ? [stdoutSink(this.program, tee.frame, false)] : [];
  }

  /** Access, TLS and framing settings of a TCP listener. */
  #access({ keys }: Address) {
    const identities = keys.tls ? this.#identities : undefined;
    return { allow: this.#settings.allow, identities, frame: keys.frame ?? 'lines' } as const;
  }
}

async function resolved(
  address: Address,
  resolve: (address: Address) => Promise<Answer | Answer[]>,
): Promise<Resolved> {
  return { address, answers: listOf(await resolve(address)) };
}

function resolveEach(
  addresses: Address[],
  resolve: (address: Address) => Promise<Answer | Answer[]>,
): Promise<Resolved[]> {
  return Promise.all(addresses.map((address) => resolved(address, resolve)));
}

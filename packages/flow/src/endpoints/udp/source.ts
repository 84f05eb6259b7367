import { failure, reason, type SocketAddress, showAddress } from 'mproxy-base';
import type { Deliver, Network, OwnSender, Receiver, ThreadSinks } from 'mproxy-net';
import {
  type Address,
  type Answer,
  bufferAdvice,
  frameOf,
  isMissing,
  isWildcard,
  listenFailure,
  scoped,
} from 'mproxy-net';
import { type SourceCounts, sourceCounts } from '../../counts.js';
import type { SourceContext, Target } from '../../endpoint.js';
import { ADDRESS_SKIPPED } from '../../events.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import type { Source } from '../../source.js';
import { isIPv6Only } from '../../targets.js';
import { EMPTY_FLOOD, RECEIVE_BUFFER_LIMITED } from './events.js';

/** Default SO_RCVBUF, in bytes. */
const RECEIVE_BUFFER = 8 * 1024 * 1024;
/** More empty datagrams per second are a flood, reported again after a minute without one. */
const FLOOD = 1000;
const SECOND_MS = 1000;
const REPEAT_MS = 60_000;

/** A receiving UDP socket: on an address of this host, or on a group. */
export class UdpSource implements Source {
  readonly #counts = sourceCounts();
  readonly #threadSinks: ThreadSinks = { sockets: [], files: [], clients: [] };
  #delivers = true;
  /** Empty datagrams at the last check, and the time of the last flood. */
  #empty = 0;
  #floodAt = Number.NEGATIVE_INFINITY;

  /** @param unterminated called every second and at the end, once a datagram lacked a final newline */
  constructor(
    private readonly program: Program,
    readonly address: Address,
    private readonly receiver: Receiver,
    private readonly unterminated: () => void = () => undefined,
  ) {}

  get counts(): SourceCounts {
    return { ...this.#counts, ...this.receiver.counts };
  }

  get local(): SocketAddress {
    return this.receiver.local;
  }

  get name(): string {
    return this.address.text;
  }

  /** How to avoid the drops. */
  get advice(): string {
    return bufferAdvice(this.address.keys.rcvbuf ?? RECEIVE_BUFFER, this.receiver.receiveBuffer);
  }

  takeOver(sinks: readonly Sink[], areShared: boolean): Sink[] {
    if (!this.receiver.threaded) return [];
    const taken = sinks.filter((sink) => {
      const { sockets = [], files = [], clients = [] } = sink.inThread?.(areShared) ?? {};
      this.#threadSinks.sockets.push(...sockets);
      this.#threadSinks.files.push(...files);
      this.#threadSinks.clients.push(...clients);
      return sockets.length + files.length + clients.length > 0;
    });
    this.#delivers = taken.length < sinks.length;
    return taken;
  }

  async run(deliver: Deliver): Promise<void> {
    const timer = setInterval(() => this.#check(), SECOND_MS).unref();
    try {
      await this.receiver.run(this.#delivers ? deliver : undefined, this.#threadSinks);
    } catch (error) {
      throw failure('MPROXY_LISTEN', 'receiving', this.name, error);
    } finally {
      clearInterval(timer);
      this.#check();
    }
  }

  #check(): void {
    this.#checkEmpty();
    if (this.receiver.unterminated) this.unterminated();
  }

  /** Reports a flood of empty datagrams. They are forwarded like all others. */
  #checkEmpty(): void {
    const { counts, emptyFrom } = this.receiver;
    const received = counts.empty - this.#empty;
    this.#empty = counts.empty;
    if (received <= FLOOD) return;
    const now = performance.now();
    const recent = now - this.#floodAt < REPEAT_MS;
    this.#floodAt = now;
    if (recent) return;
    const from = emptyFrom && showAddress(emptyFrom);
    this.program.emit(EMPTY_FLOOD, { source: this.name, count: received, from });
  }

  stop(): void {
    this.receiver.stop();
  }

  ignore(from: OwnSender): void {
    this.receiver.ignore(from);
  }
}

/**
 * Opens one socket for each answer of an address. An answer that is not an address of this host is skipped
 * with a notice, unless none is left. Port 0 becomes the same port for all.
 * @throws MPROXY_LISTEN, MPROXY_INTERFACE
 */
export async function openUdpSources(
  program: Program,
  { address, answers }: Target<Address>,
  { values, unterminated }: SourceContext,
): Promise<UdpSource[]> {
  const { allow = [] } = values as { allow?: Network[] };
  const sources: UdpSource[] = [];
  const isLines = frameOf(address) === 'lines';
  let port = address.port;
  for (const answer of answers) {
    try {
      const receiver = await openReceiver(program, address, { ...answer, port }, allow);
      port = receiver.local.port;
      sources.push(
        program.source(new UdpSource(program, address, receiver, isLines ? unterminated : undefined)),
      );
    } catch (error) {
      const missing = isMissing(error) && answers.length > 1;
      if (!missing) throw listenFailure(address, error, answer.interface && answer.family);
      program.emit(ADDRESS_SKIPPED, { listener: address.text, address: answer.ip, reason: reason(error) });
    }
  }
  if (sources.length === 0)
    throw failure(
      'MPROXY_LISTEN',
      'listening',
      address.text,
      'none of its answers is an address of this host',
    );
  return sources;
}

async function openReceiver(
  program: Program,
  address: Address,
  answer: Answer,
  allow: Network[],
): Promise<Receiver> {
  const { family, ip, port, interface: on } = answer;
  const { keys } = address;
  const receiveBuffer = keys.rcvbuf ?? RECEIVE_BUFFER;
  const receiver = await program.engine.openReceiver({
    address: on ? ip : scoped(answer),
    port,
    family,
    ipv6Only: isIPv6Only(program, 'datagrams', ip, port),
    ...(on && { membership: { interface: on, sources: keys.source ?? [] } }),
    receiveBuffer,
    tellsSenders: keys.frame === 'mold',
    ...(allow.length > 0 && { allow }),
    notice: program.socketNotice,
    threadFailed: program.threadFailed,
  });
  announce(program, address, answer, receiver);
  return receiver;
}

function announce(program: Program, address: Address, answer: Answer, receiver: Receiver): void {
  const { ip, interface: on } = answer;
  const { keys, text } = address;
  const local = showAddress({ address: on ? ip : scoped(answer), port: receiver.local.port });
  const receivesAllGroups = isWildcard(ip) && !program.engine.exactGroups;
  const note = receivesAllGroups ? 'groups that this host joined on that port arrive too' : undefined;
  const transport = on ? 'group' : 'udp';
  program.listening({ transport, local, interface: on?.name, note }, receiver.local);
  if (keys.rcvbuf === undefined || receiver.receiveBuffer >= keys.rcvbuf) return;
  const advice = bufferAdvice(keys.rcvbuf, receiver.receiveBuffer);
  program.emit(RECEIVE_BUFFER_LIMITED, { source: text, advice });
}

import { failure, reason, type SocketAddress, showAddress } from 'mproxy-base';
import { Batch, delimiterOf, type Frame } from 'mproxy-framing';
import {
  type Address,
  type Answer,
  broadcastAddresses,
  bufferAdvice,
  ENGINE_NAME,
  type OwnSender,
  resolveBind,
  resolveFirst,
  type SendCounts,
  type Sender,
  type SenderOptions,
  scoped,
} from 'mproxy-net';
import { addCounts, type SinkCounts, sinkCounts } from '../../counts.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { Splitter } from '../../stream/splitter.js';
import { RESOLUTION_FAILED, SEND_BUFFER_LIMITED, SENDING } from './events.js';

/** Default SO_SNDBUF, in bytes. */
const SEND_BUFFER = 1024 * 1024;
/** SO_RCVBUF for requests, in bytes. The kernel counts a request of 20 as about 800 (skbuff.h). */
const REQUEST_BUFFER = 2 * 1024 * 1024;
/** How often a destination's name is resolved again, in milliseconds. */
const RESOLVE_MS = 60_000;

/** How datagrams are relayed. */
export interface Relaying {
  /** Whether it waits for room, as its source can; else it drops. */
  waits: boolean;
  /** Messages that are larger than a datagram are split by this frame's rule; of `octet-counted` they are refused (EMSGSIZE). */
  frame: Frame;
  /** Size to which their pieces are filled, in bytes. */
  payload: number;
}

/** Sender options that depend on the kind of sink. */
export type Sending = Pick<SenderOptions, 'waits' | 'cutAfter' | 'onMessage'>;

/**
 * A UDP destination: unicast, broadcast or a group.
 * @param frame the framing of a stream, which waits for room; undefined: a relay, which by default drops instead
 * @throws MPROXY_LISTEN when binding to `bind` fails
 */
export async function openUdpSink(
  program: Program,
  address: Address,
  answer: Answer,
  frame?: Frame,
  relay?: Relaying,
): Promise<UdpSink> {
  if (frame === undefined) {
    const sending: Sending = { waits: relay?.waits ?? false, cutAfter: false };
    return program.sink(await openSocketSink(program, address, answer, sending, relay));
  }
  const sending: Sending = { waits: true };
  const cutAfter = frame === 'octet-counted' ? false : delimiterOf(frame);
  if (cutAfter !== undefined) sending.cutAfter = cutAfter;
  return program.sink(await openSocketSink(program, address, answer, sending));
}

/** Like {@link openUdpSink}, but the caller closes the sink. */
export async function openSocketSink(
  program: Program,
  address: Address,
  answer: Answer,
  sending: Sending,
  relay?: Relaying,
): Promise<UdpSink> {
  const sender = await openSender({ program, address, answer, sending, signal: program.stopping });
  announce(program, address, answer, sender);
  return new UdpSink(program, address, answer, sender, sending, relay);
}

export class UdpSink implements Sink {
  readonly dropReason = 'the network took less than came in';
  /** Counts of closed senders, which a changed address replaced. */
  readonly #past = sinkCounts();
  readonly #pastReplies = sinkCounts();
  /** Replaced senders that are still closing, and still count. */
  readonly #replaced = new Map<Sender, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #resolving: Promise<void> | undefined;
  readonly #closing = new AbortController();
  readonly #splitter: Splitter | undefined;

  constructor(
    private readonly program: Program,
    readonly address: Address,
    private answer: Answer,
    private sender: Sender,
    private readonly sending: Sending,
    relay?: Relaying,
  ) {
    if (relay && relay.frame !== 'octet-counted')
      this.#splitter = new Splitter(relay.frame, relay.payload, (batch) => this.sender.send(batch));
    if (address.host === answer.ip) return;
    this.#timer = setInterval(() => this.lookUpAgain(), RESOLVE_MS);
    this.#timer.unref();
  }

  get name(): string {
    return this.address.text;
  }

  get counts(): SinkCounts {
    const sum = copyOf(this.#past);
    for (const sender of [...this.#replaced.keys(), this.sender]) addCounts(sum, sender.counts);
    if (this.#splitter?.split) sum.split = this.#splitter.split;
    return sum;
  }

  get dropAdvice(): string {
    return bufferAdvice(this.address.keys.sndbuf ?? SEND_BUFFER, this.sender.sendBuffer, 'wmem_max');
  }

  errorAdvice(code: string): string | undefined {
    const { ip, family, interface: on } = this.answer;
    if (code === 'ENETUNREACH' && ip === '255.255.255.255')
      return 'no route leads there; name the interface by its own address: bind=IP';
    if (code !== 'ENETUNREACH' || family !== 6 || !on) return undefined;
    return `interface ${on.name} has no route for ff00::/8, as IPv6 groups need; use another interface`;
  }

  /** Source addresses and port of the datagrams that this socket sends to its group. */
  get own(): OwnSender[] {
    const { address, port } = this.sender.local;
    const on = this.answer.interface?.addresses ?? [];
    return [{ addresses: [address, ...on.map((own) => own.address)], port }];
  }

  inThread() {
    return this.sender.target && { sockets: [this.sender.target] };
  }

  write(batch: Batch): void {
    if (batch.large && this.#splitter) this.#splitter.write(batch);
    else if (batch.sizes) this.#writeOneByOne(batch);
    else this.sender.send(batch);
  }

  #writeOneByOne(batch: Batch): void {
    const part = new Batch();
    part.lent = batch.lent;
    part.reset(batch.slab);
    batch.each((offset, length) => {
      part.add(offset, length);
      if (!part.full) return;
      this.sender.send(part);
      part.reset(batch.slab);
    });
    if (part.count > 0) this.sender.send(part);
  }

  /** Sends a datagram to a requester, from the same socket. */
  reply(bytes: Buffer, to: SocketAddress): void {
    this.sender.reply(bytes, to);
  }

  /** Counts of the replies, which are not in {@link counts}. */
  get replies(): SendCounts {
    const sum = copyOf(this.#pastReplies);
    for (const sender of [...this.#replaced.keys(), this.sender]) addCounts(sum, sender.replies);
    return sum;
  }

  flush(): void {}

  room(): Promise<void> | undefined {
    return this.sender.room();
  }

  abortPending(): void {
    for (const sender of [...this.#replaced.keys(), this.sender]) sender.abortPending();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#timer);
    await this.#resolving;
    await Promise.all([this.sender.close(), ...this.#replaced.values()]);
  }

  /** Resolves the name again. A call during a resolution shares its result. */
  lookUpAgain(): Promise<void> {
    this.#resolving ??= this.#resolve().finally(() => {
      this.#resolving = undefined;
    });
    return this.#resolving;
  }

  async #resolve(): Promise<void> {
    const { signal } = this.#closing;
    try {
      const answer = await resolveFirst(this.address, signal);
      if (answer.ip !== this.answer.ip) await this.#switchTo(answer, signal);
    } catch (error) {
      // The error text names the address.
      if (signal.aborted) return;
      this.program.emit(RESOLUTION_FAILED, { reason: reason(error), address: this.answer.ip });
    }
  }

  async #switchTo(answer: Answer, signal: AbortSignal): Promise<void> {
    const { program, address, sending } = this;
    const to = { address: scoped(answer), port: answer.port };
    if (this.sender.redirect) {
      if (!this.sender.redirect(answer.family, to))
        throw failure('MPROXY_SEND', 'look-up', this.name, `${answer.ip} cannot be used without a restart`);
      this.answer = answer;
      const event = { transport: 'udp', address: showAddress(to), destination: this.name };
      program.emitChange(SENDING, event, this.name);
      return;
    }
    const sender = await openSender({ program, address, answer, sending, signal });
    if (signal.aborted) return await sender.close();
    announce(program, address, answer, sender);
    const past = this.sender;
    this.answer = answer;
    this.sender = sender;
    this.#replaced.set(
      past,
      past.close().then(() => this.#forget(past)),
    );
  }

  #forget(past: Sender): void {
    this.#replaced.delete(past);
    addCounts(this.#past, past.counts);
    addCounts(this.#pastReplies, past.replies);
  }
}

function copyOf(counts: SinkCounts): SinkCounts {
  return { ...counts, errors: { ...counts.errors }, returned: { ...counts.returned } };
}

interface Opening {
  program: Program;
  address: Address;
  answer: Answer;
  sending: Sending;
  /** Cancels the resolution of `bind`. */
  signal: AbortSignal;
}

async function openSender({ program, address, answer, sending, signal }: Opening): Promise<Sender> {
  const { family, ip, port, interface: on } = answer;
  const { keys, text } = address;
  if (keys.tos !== undefined && !program.engine.setsTos) {
    const why = `the ${program.engine.name} engine cannot set the TOS byte`;
    throw failure('MPROXY_ENGINE', 'tos', text, why, `this needs ${ENGINE_NAME} linux`);
  }
  const bind = keys.bind === undefined ? undefined : await resolveBind(keys.bind, family, signal);
  try {
    return await program.engine.openSender({
      address: scoped(answer),
      port,
      family,
      ...(on && { multicast: { interface: on, ttl: keys.ttl ?? 1, loop: keys.loop ?? true } }),
      broadcast: broadcastAddresses().includes(ip),
      ...(bind && { bind }),
      ...(keys.tos !== undefined && { tos: keys.tos }),
      sendBuffer: keys.sndbuf ?? SEND_BUFFER,
      ...sending,
      ...(sending.onMessage && { receiveBuffer: REQUEST_BUFFER }),
      notice: program.socketNotice,
    });
  } catch (error) {
    throw failure('MPROXY_LISTEN', bind ? 'bind' : 'sending', bind ? keys.bind! : text, error);
  }
}

function announce(program: Program, { text, host, keys }: Address, answer: Answer, sender: Sender): void {
  const { ip, port, interface: on } = answer;
  const to = showAddress({ address: on ? ip : scoped(answer), port });
  const event = on
    ? { transport: 'group', address: to, interface: on.name }
    : { transport: 'udp', address: to, destination: host === ip ? undefined : text };
  // Several upstreams may open sockets to the same destination: it is reported once.
  program.emitChange(SENDING, event, text);
  if (keys.sndbuf === undefined || sender.sendBuffer >= keys.sndbuf) return;
  const advice = bufferAdvice(keys.sndbuf, sender.sendBuffer, 'wmem_max');
  program.emit(SEND_BUFFER_LIMITED, { destination: text, advice });
}

import { failure, reason, type SocketAddress, showAddress } from 'mproxy-base';
import { Batch, delimiterOf, type Frame } from 'mproxy-framing';
import {
  type Address,
  type Answer,
  broadcastAddresses,
  bufferAdvice,
  type OwnSender,
  resolveBind,
  resolveFirst,
  type SendCounts,
  type Sender,
  type SenderOptions,
  scoped,
} from 'mproxy-net';
import { type SinkCounts, sinkCounts } from '../../counts.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';

/** Asked of the kernel unless the user says otherwise, in bytes. */
const SEND_BUFFER = 1024 * 1024;
/** Asked of the kernel for what is heard, in bytes: it counts a request of 20 bytes as some 800 (socket buffers, skbuff.h). */
const REQUEST_BUFFER = 2 * 1024 * 1024;
/** How often a destination's name is looked up again. */
const LOOK_UP_MS = 60_000;

/** How a socket is sent on, as its engine takes it. */
export type Sending = Pick<SenderOptions, 'waits' | 'cutAfter' | 'onMessage'>;

/**
 * A UDP destination: unicast, broadcast or a group.
 * @param frame that of the stream that is sent, which waits for room; undefined: a relay, which cannot wait
 * @throws MPROXY_LISTEN when its `bind` cannot be had
 */
export async function openUdpSink(
  program: Program,
  address: Address,
  answer: Answer,
  frame?: Frame,
): Promise<UdpSink> {
  const sending: Sending = { waits: frame !== undefined };
  const cutAfter = frame === 'octet-counted' ? false : frame && delimiterOf(frame);
  if (cutAfter !== undefined) sending.cutAfter = cutAfter;
  return program.sink(await openSocketSink(program, address, answer, sending));
}

/** The same, for a sink that closes it itself. */
export async function openSocketSink(
  program: Program,
  address: Address,
  answer: Answer,
  sending: Sending,
): Promise<UdpSink> {
  const sender = await openSender({ program, address, answer, sending, signal: program.stopping });
  announce(program, address, answer, sender);
  return new UdpSink(program, address, answer, sender, sending);
}

export class UdpSink implements Sink {
  /** The counts of senders that a new answer of the name has replaced. */
  readonly #past = sinkCounts();
  /** Those of them that are not closed yet: they still count what they had left. */
  readonly #leaving = new Map<Sender, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #lookingUp: Promise<void> | undefined;
  readonly #closing = new AbortController();

  constructor(
    private readonly program: Program,
    readonly address: Address,
    private answer: Answer,
    private sender: Sender,
    private readonly sending: Sending,
  ) {
    if (address.host === answer.ip) return;
    this.#timer = setInterval(() => this.lookUpAgain(), LOOK_UP_MS);
    this.#timer.unref();
  }

  get name(): string {
    return this.address.text;
  }

  get counts(): SinkCounts {
    const sum = { ...this.#past, errors: { ...this.#past.errors }, returned: { ...this.#past.returned } };
    for (const sender of [...this.#leaving.keys(), this.sender]) addCounts(sum, sender.counts);
    return sum;
  }

  get dropReason(): string {
    const advice = bufferAdvice(this.address.keys.sndbuf ?? SEND_BUFFER, this.sender.sendBuffer, 'wmem_max');
    return `the network took less than came in; ${advice}`;
  }

  errorAdvice(code: string): string | undefined {
    const { ip, family, interface: on } = this.answer;
    if (code === 'ENETUNREACH' && ip === '255.255.255.255')
      return 'no route leads there; name the interface by its own address: bind=IP';
    if (code !== 'ENETUNREACH' || family !== 6 || !on) return undefined;
    return `interface ${on.name} has no route for ff00::/8, as IPv6 groups need; use another interface`;
  }

  /** The sending socket, as the datagrams it sends to its group show it. */
  get own(): OwnSender {
    const { address, port } = this.sender.local;
    const on = this.answer.interface?.addresses ?? [];
    return { addresses: [address, ...on.map((own) => own.address)], port };
  }

  inThread() {
    return this.sender.target && { sockets: [this.sender.target] };
  }

  write(batch: Batch): void {
    if (batch.sizes) this.#writeOneByOne(batch);
    else this.sender.send(batch);
  }

  #writeOneByOne(batch: Batch): void {
    const some = new Batch();
    some.lent = batch.lent;
    some.reset(batch.slab);
    batch.each((offset, length) => {
      some.add(offset, length);
      if (!some.full) return;
      this.sender.send(some);
      some.reset(batch.slab);
    });
    if (some.count > 0) this.sender.send(some);
  }

  /** Sends back to who was heard, from the same socket. */
  reply(bytes: Buffer, to: SocketAddress): void {
    this.sender.reply(bytes, to);
  }

  /** What became of the replies, which are not in {@link counts}. */
  get replies(): SendCounts {
    return this.sender.replies;
  }

  flush(): void {}

  room(): Promise<void> | undefined {
    return this.sender.room();
  }

  abortPending(): void {
    for (const sender of [...this.#leaving.keys(), this.sender]) sender.abortPending();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#timer);
    await this.#lookingUp;
    await Promise.all([this.sender.close(), ...this.#leaving.values()]);
  }

  /** Resolves the name again, as it does every minute; one that is still being resolved is not asked for twice. */
  lookUpAgain(): Promise<void> {
    this.#lookingUp ??= this.#lookUp().finally(() => {
      this.#lookingUp = undefined;
    });
    return this.#lookingUp;
  }

  async #lookUp(): Promise<void> {
    const { signal } = this.#closing;
    try {
      const answer = await resolveFirst(this.address, signal);
      if (answer.ip !== this.answer.ip) await this.#sendTo(answer, signal);
    } catch (error) {
      // Its text names the address.
      if (!signal.aborted) this.program.notice(`${reason(error)}; going on with ${this.answer.ip}`);
    }
  }

  async #sendTo(answer: Answer, signal: AbortSignal): Promise<void> {
    const { program, address, sending } = this;
    const to = { address: scoped(answer), port: answer.port };
    if (this.sender.redirect) {
      if (!this.sender.redirect(answer.family, to))
        throw failure('MPROXY_SEND', 'look-up', this.name, `${answer.ip} cannot be used without a restart`);
      this.answer = answer;
      program.noticeChange(`sending to ${this.name}`, `sending: udp ${showAddress(to)} for ${this.name}`);
      return;
    }
    const sender = await openSender({ program, address, answer, sending, signal });
    if (signal.aborted) return await sender.close();
    announce(program, address, answer, sender);
    const past = this.sender;
    this.answer = answer;
    this.sender = sender;
    this.#leaving.set(
      past,
      past.close().then(() => this.#left(past)),
    );
  }

  #left(past: Sender): void {
    this.#leaving.delete(past);
    addCounts(this.#past, past.counts);
  }
}

function addCounts(sum: SinkCounts, { datagrams, bytes, dropped, errors, returned }: SendCounts): void {
  sum.datagrams += datagrams;
  sum.bytes += bytes;
  sum.dropped += dropped;
  for (const [name, count] of Object.entries(errors)) sum.errors[name] = (sum.errors[name] ?? 0) + count;
  for (const [key, count] of Object.entries(returned)) sum.returned[key] = (sum.returned[key] ?? 0) + count;
}

interface Opening {
  program: Program;
  address: Address;
  answer: Answer;
  sending: Sending;
  /** Ends the look-up of `bind`. */
  signal: AbortSignal;
}

async function openSender({ program, address, answer, sending, signal }: Opening): Promise<Sender> {
  const { family, ip, port, interface: on } = answer;
  const { keys, text } = address;
  if (keys.tos !== undefined && !program.engine.setsTos) {
    const why = `the ${program.engine.name} engine cannot set the TOS byte`;
    throw failure('MPROXY_ENGINE', 'tos', text, why, 'this needs --engine linux');
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
      notice: program.notice,
    });
  } catch (error) {
    throw failure('MPROXY_LISTEN', bind ? 'bind' : 'sending', bind ? keys.bind! : text, error);
  }
}

function announce(program: Program, { text, host, keys }: Address, answer: Answer, sender: Sender): void {
  const { ip, port, interface: on } = answer;
  const where = showAddress({ address: on ? ip : scoped(answer), port });
  // Each upstream has sockets of its own to the same destinations.
  if (on) program.noticeChange(`sending to ${text}`, `sending: group ${where} by interface ${on.name}`);
  else
    program.noticeChange(`sending to ${text}`, `sending: udp ${where}${host === ip ? '' : ` for ${text}`}`);
  if (keys.sndbuf !== undefined && sender.sendBuffer < keys.sndbuf) {
    program.notice(`sndbuf: ${text}: ${bufferAdvice(keys.sndbuf, sender.sendBuffer, 'wmem_max')}`);
  }
}

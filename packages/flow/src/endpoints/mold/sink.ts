import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { type Rate, showMemory } from 'mproxy-base';
import { Batch } from 'mproxy-framing';
import { countOf, HEARTBEAT, headerAlone, MAX_MESSAGE, Packer, PacketStore, sequenceOf } from 'mproxy-mold';
import type { Deliver } from 'mproxy-net';
import { addCounts, type SinkCounts, sinkCounts, unsent } from '../../counts.js';
import type { AnyValues, Target } from '../../endpoint.js';
import type { Program } from '../../program.js';
import type { Pace } from '../../route.js';
import { type Sink, storedBy } from '../../sink.js';
import type { PacketOpener, PacketSink } from '../../transport.js';
import { RunningClock } from './clock.js';
import { SESSION_CUT, SESSION_OPENED, SESSION_SENT } from './events.js';
import { MOLD_FLAG_NAMES } from './flags.js';
import { takeMemory } from './memory.js';
import { RepairServer } from './repair-server.js';

/** Time from the last packet to a heartbeat (MoldUDP64 1.00, "Heartbeats"). */
const HEARTBEAT_MS = 1000;
/** Interval between repeats of the end of session while requests are answered. */
const END_MS = 50;
/** Requests delay the end by at most this plus the time to retransmit the whole store. */
const MAX_LINGER_MS = 60_000;
/**
 * A stream waits for receivers that are far behind: until none sent a request for QUIET_MS, at most
 * MAX_WAIT_MS per WAIT_BYTES. Forged requests thus cannot slow it below 160 Mbps.
 */
const QUIET_MS = 10;
const MAX_WAIT_MS = 50;
const WAIT_BYTES = 1024 * 1024;
/** Limit on a batch, in bytes: the store must not overwrite its packets before they are sent. */
const BATCH_BYTES = 256 * 1024;

export interface MoldSinkOptions {
  /** The session's name, 1 to 10 characters. */
  session: string;
  /** Retransmission buffer size, in bytes. */
  retain: number;
  repairRate: Rate;
  /** How long requests are answered after the end, in milliseconds. */
  linger: number;
  /** Size to which packets are filled, headers included, in bytes. */
  payload: number;
  /** Whether it sends streams, which can wait for room. */
  waits: boolean;
  /** Of the flags, for the transports. */
  values: AnyValues;
  pace?: Pace | undefined;
}

/** A MoldUDP64 session to all its destinations: packs messages, stores and sends packets, and retransmits. */
export class MoldSink implements Sink {
  readonly #store: PacketStore;
  readonly #packer: Packer;
  readonly #repairServer: RepairServer;
  readonly #sinks: PacketSink[] = [];
  readonly #batch = new Batch();
  readonly #deliver: Deliver;
  readonly #heartbeats: NodeJS.Timeout;
  readonly #aborted = new AbortController();
  /** Resolves when the sinks have room again. */
  #busy: Promise<void> | undefined;
  /** Batches that wait for room or for the pacer. */
  #pending = 0;
  #bytes = 0;
  /** Messages larger than a packet can carry, which became several. */
  #split = 0;
  /** Resolves when the wait for receivers that are far behind is over; bytes sent since the last one. */
  #catchUp: Promise<void> | undefined;
  #bytesSinceWait = 0;
  #sentAt = performance.now();
  /** The number after the last message given to the sockets; the pacer may hold more. */
  #sentNext = 1;

  constructor(
    private readonly program: Program,
    private readonly options: MoldSinkOptions,
  ) {
    const { retain, session, payload, repairRate, pace } = options;
    const { populate } = program.engine;
    this.#store = takeMemory(
      `${MOLD_FLAG_NAMES.retain} ${showMemory(retain)}`,
      () => new PacketStore(retain, populate),
    );
    this.#packer = new Packer(this.#store, session, payload, (offset, length) => this.#add(offset, length));
    this.#repairServer = new RepairServer(this.#store, session, () => this.#packer.next, repairRate);
    const pacer = pace?.((batch) => this.#sendPackets(batch));
    this.#deliver = pacer ? (batch) => pacer.send(batch) : (batch) => this.#sendPackets(batch);
    this.#heartbeats = setInterval(() => this.#sendHeartbeat(), HEARTBEAT_MS / 4);
    this.#batch.lent = true;
  }

  async open(targets: Target[]): Promise<this> {
    try {
      for (const target of targets) await this.#openSink(target);
    } catch (error) {
      // The program does not know the open sinks yet.
      clearInterval(this.#heartbeats);
      this.#repairServer.stop();
      await Promise.all(this.#sinks.map((sink) => sink.close()));
      throw error;
    }
    this.program.emit(SESSION_OPENED, { session: this.options.session.trim(), destination: this.name });
    return this.program.sink(this);
  }

  async #openSink(target: Target): Promise<void> {
    const { openPacketSink } = target.opener as PacketOpener;
    const sink = await openPacketSink(this.program, target, {
      waits: this.options.waits,
      values: this.options.values,
      onRequest: (bytes, from, reply) => this.#repairServer.onMessage(bytes, from, reply),
    });
    this.#sinks.push(sink);
  }

  get name(): string {
    return this.#sinks.map(({ name }) => name).join(' and ');
  }

  get dropReason(): string {
    return this.#unanswered?.dropReason ?? 'the network took less than came in; receivers will ask for it';
  }

  get dropAdvice(): string | undefined {
    return this.#unanswered?.dropAdvice;
  }

  /** Of its destinations, the first that is not connected. */
  get disconnected(): string | undefined {
    return this.#sinks.find(({ disconnected }) => disconnected !== undefined)?.disconnected;
  }

  /** A sink whose receivers cannot ask for what it drops. */
  get #unanswered(): PacketSink | undefined {
    return this.#sinks.find(({ replies }) => !replies);
  }

  errorAdvice(code: string): string | undefined {
    return this.#sinks.map((sink) => sink.errorAdvice?.(code)).find((advice) => advice !== undefined);
  }

  /** Whether receivers know the address of the sender, and can send requests there. */
  get answers(): boolean {
    return this.#sinks.every(({ replies }) => replies !== undefined);
  }

  get counts(): SinkCounts {
    const mold = { ...this.#repairServer.counts, messages: this.#packer.next - 1, unsent: 0 };
    const sum = { ...sinkCounts(), ...(this.#split > 0 && { split: this.#split }), mold };
    for (const { counts, replies } of this.#sinks) {
      if (replies) mold.unsent += unsent(replies);
      addCounts(sum, counts);
    }
    return sum;
  }

  get own(): unknown[] {
    return this.#sinks.flatMap(({ own = [] }) => own);
  }

  /** Takes lines or datagrams: each becomes a message. */
  write(batch: Batch): void {
    if (batch.lines) batch.each((offset, length) => this.#packer.lines(batch.slab, offset, length));
    else batch.each((offset, length) => this.#message(batch.slab, offset, length));
    this.#pass();
  }

  #message(slab: Buffer, offset: number, length: number): void {
    if (length > MAX_MESSAGE) this.#split++;
    this.#packer.message(slab, offset, length);
  }

  flush(): void {
    this.#packer.flush();
    this.#pass();
  }

  room(): Promise<void> | undefined {
    if (this.#bytesSinceWait >= WAIT_BYTES && this.#isAnyBehind()) this.#catchUp ??= this.#waitForReceivers();
    const busy = this.#pending > 0 ? this.#busy : undefined;
    return busy && this.#catchUp
      ? Promise.all([busy, this.#catchUp]).then(() => undefined)
      : (busy ?? this.#catchUp);
  }

  /** Whether a far-behind receiver sent a request recently: the store will soon lack what it misses. */
  #isAnyBehind(): boolean {
    return performance.now() - this.#repairServer.lateAt < QUIET_MS && !this.#aborted.signal.aborted;
  }

  async #waitForReceivers(): Promise<void> {
    const deadline = performance.now() + MAX_WAIT_MS;
    while (this.#isAnyBehind() && performance.now() < deadline) await wait(1);
    this.#bytesSinceWait = 0;
    this.#catchUp = undefined;
  }

  stored(): Promise<void> | undefined {
    return storedBy(this.#sinks);
  }

  abortPending(): void {
    this.#aborted.abort();
    for (const sink of this.#sinks) sink.abortPending();
  }

  /** Sends the end of session, and answers requests until none arrive. */
  async close(): Promise<void> {
    this.flush();
    await this.#busy;
    clearInterval(this.#heartbeats);
    await this.#linger(this.#packer.end());
    this.#repairServer.stop();
    await Promise.all(this.#sinks.map((sink) => sink.close()));
    const { messages, answers } = this.counts.mold!;
    const session = this.options.session.trim();
    // Where receivers can request them, they may have got what was not sent at first.
    const unanswered = this.#sinks.filter(({ replies }) => !replies);
    const lost = unanswered.reduce((sum, { counts }) => sum + unsent(counts), 0);
    if (lost > 0) this.program.emit(SESSION_CUT, { session, messages, unsent: lost });
    else this.program.emit(SESSION_SENT, { session, messages, answers });
  }

  async #linger(end: Buffer): Promise<void> {
    const clock = new RunningClock(10 * END_MS);
    // Where receivers do not know the sender's address, none requests anything.
    const quietMs = this.#sinks.some(({ replies }) => replies) ? this.options.linger : 0;
    let now = clock.now();
    let quietSince = now;
    let { askedAt } = this.#repairServer;
    const deadline = now + this.options.linger + MAX_LINGER_MS + this.#repairServer.storeMs;
    do {
      this.#sendDirectly(end);
      if (this.#aborted.signal.aborted) return;
      await wait(END_MS, undefined, { signal: this.#aborted.signal }).catch(() => undefined);
      // Timers run before reads: requests received meanwhile are read before checking for silence.
      await nextTurn();
      now = clock.now();
      if (askedAt !== this.#repairServer.askedAt) quietSince = now;
      askedAt = this.#repairServer.askedAt;
    } while (now < deadline && (now - quietSince < quietMs || this.#repairServer.busy));
  }

  #add(offset: number, length: number): void {
    if (this.#batch.count === 0) this.#batch.reset(this.#store.slab);
    this.#batch.add(offset, length);
    this.#bytes += length;
    this.#bytesSinceWait += length;
    if (this.#batch.full || this.#bytes >= BATCH_BYTES) this.#pass();
  }

  /** Sends or queues the complete packets. */
  #pass(): void {
    if (this.#batch.count === 0) return;
    this.#bytes = 0;
    const busy = this.#deliver(this.#batch);
    this.#batch.reset(this.#store.slab);
    if (!busy) return;
    this.#busy = busy;
    this.#pending++;
    void busy.then(() => {
      this.#pending--;
    });
  }

  #sendPackets(batch: Batch): Promise<void> | undefined {
    const { slab, offset, length, segment, count } = batch;
    if (count > 0) {
      const size = length[count - 1]!;
      const step = segment[count - 1]! || size;
      const last = offset[count - 1]! + size - (size % step || step);
      this.#sentNext = sequenceOf(slab, last) + countOf(slab, last);
    }
    return this.#send(batch);
  }

  #send(batch: Batch): Promise<void> | undefined {
    this.#sentAt = performance.now();
    const rooms: Promise<void>[] = [];
    for (const sink of this.#sinks) {
      sink.write(batch);
      sink.flush();
      const room = sink.room();
      if (room) rooms.push(room);
    }
    return rooms.length > 0 ? Promise.all(rooms).then(() => undefined) : undefined;
  }

  #sendHeartbeat(): void {
    if (performance.now() - this.#sentAt < HEARTBEAT_MS) return;
    if (this.#pending === 0) this.#sendDirectly(this.#packer.heartbeat());
    // A heartbeat must not announce packets that still wait to be sent.
    else this.#sendDirectly(headerAlone(this.options.session, this.#sentNext, HEARTBEAT));
  }

  /** Sends a packet that is neither stored nor paced; not where packets wait, which would only become more. */
  #sendDirectly(packet: Buffer): void {
    const batch = new Batch();
    batch.reset(packet);
    batch.add(0, packet.length);
    this.#sentAt = performance.now();
    for (const sink of this.#sinks) {
      if (sink.room()) continue;
      sink.write(batch);
      sink.flush();
    }
  }
}

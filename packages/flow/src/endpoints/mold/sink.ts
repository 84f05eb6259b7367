import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { showCount, showMemory } from 'mproxy-base';
import { Batch } from 'mproxy-framing';
import { countOf, HEARTBEAT, headerAlone, Packer, PacketStore, sequenceOf } from 'mproxy-mold';
import type { Deliver, OnMessage, OwnSender } from 'mproxy-net';
import { type SinkCounts, sinkCounts, unsent } from '../../counts.js';
import type { Resolved } from '../../loops.js';
import type { Program } from '../../program.js';
import type { Pace } from '../../route.js';
import type { Sink } from '../../sink.js';
import { openSocketSink, type UdpSink } from '../udp/sink.js';
import { RunningClock } from './clock.js';
import { takeMemory } from './memory.js';
import type { MoldSending } from './options.js';
import { RepairServer } from './repair-server.js';

/** A heartbeat follows the last packet after so long (MoldUDP64 1.00, "Heartbeats"). */
const HEARTBEAT_MS = 1000;
/** How often the end of session is repeated while requests are still answered. */
const END_MS = 50;
/** Requests prolong the end by no more than this and as long as the whole store takes to be sent again. */
const MOST_LINGER_MS = 60_000;
/**
 * A stream waits for receivers that are far behind: until none asked for so long, and at most for this long after so
 * many bytes. Anybody can ask: so nobody can bring it below 160 Mbps.
 */
const QUIET_MS = 10;
const MOST_WAIT_MS = 50;
const WAIT_EVERY = 1024 * 1024;
/** Packets wait in a batch for company up to so many bytes: the store may overwrite what is older than itself alone. */
const BATCH_BYTES = 256 * 1024;

export interface MoldSinkOptions extends MoldSending {
  /** How full a packet is made, its headers included, in bytes. */
  payload: number;
  /** Whether what is sent are streams, which can wait for room. */
  waits: boolean;
  pace?: Pace | undefined;
}

/**
 * A session of MoldUDP64 to all its destinations: puts messages into packets, keeps them, sends them, and sends again
 * what receivers ask its sockets for.
 */
export class MoldSink implements Sink {
  readonly dropReason = 'the network took less than came in; receivers will ask for it';
  readonly #store: PacketStore;
  readonly #packer: Packer;
  readonly #repairServer: RepairServer;
  readonly #sinks: UdpSink[] = [];
  readonly #batch = new Batch();
  readonly #deliver: Deliver;
  readonly #heartbeats: NodeJS.Timeout;
  readonly #aborted = new AbortController();
  /** Resolves when the sinks have room again. */
  #busy: Promise<void> | undefined;
  /** Batches that wait for room, or for their time. */
  #pending = 0;
  #bytes = 0;
  /** Resolves when receivers that were far behind had their time; and what was sent since. */
  #behind: Promise<void> | undefined;
  #sinceWait = 0;
  #sentAt = performance.now();
  /** The number after the last message that went to the sockets; more may wait for their time. */
  #sentNext = 1;

  constructor(
    private readonly program: Program,
    private readonly options: MoldSinkOptions,
  ) {
    const { retain, session, payload, repairRate, pace } = options;
    const { populate } = program.engine;
    this.#store = takeMemory(`--retain ${showMemory(retain)}`, () => new PacketStore(retain, populate));
    this.#packer = new Packer(this.#store, session, payload, (offset, length) => this.#add(offset, length));
    this.#repairServer = new RepairServer(this.#store, session, () => this.#packer.next, repairRate);
    const pacer = pace?.((batch) => this.#sendPackets(batch));
    this.#deliver = pacer ? (batch) => pacer.send(batch) : (batch) => this.#sendPackets(batch);
    this.#heartbeats = setInterval(() => this.#beat(), HEARTBEAT_MS / 4);
    this.#batch.lent = true;
  }

  async open(targets: Resolved[]): Promise<this> {
    try {
      for (const target of targets) await this.#openSink(target);
    } catch (error) {
      // What is open is not yet the program's to close.
      clearInterval(this.#heartbeats);
      this.#repairServer.stop();
      await Promise.all(this.#sinks.map((sink) => sink.close()));
      throw error;
    }
    this.program.notice(`sending: session ${this.options.session.trim()} to ${this.name}`);
    return this.program.sink(this);
  }

  async #openSink({ address, answers }: Resolved): Promise<void> {
    const onMessage: OnMessage = (bytes, from) =>
      this.#repairServer.onMessage(bytes, from, (reply, to) => sink.reply(reply, to));
    const sending = { waits: this.options.waits, cutAfter: false, onMessage } as const;
    const sink: UdpSink = await openSocketSink(this.program, address, answers[0]!, sending);
    this.#sinks.push(sink);
  }

  get name(): string {
    return this.#sinks.map(({ name }) => name).join(' and ');
  }

  get counts(): SinkCounts {
    const mold = { ...this.#repairServer.counts, messages: this.#packer.next - 1, unsent: 0 };
    const sum = { ...sinkCounts(), mold };
    for (const { counts, replies } of this.#sinks) {
      mold.unsent += unsent(replies);
      sum.datagrams += counts.datagrams;
      sum.bytes += counts.bytes;
      sum.dropped += counts.dropped;
      for (const [name, count] of Object.entries(counts.errors))
        sum.errors[name] = (sum.errors[name] ?? 0) + count;
      for (const [key, count] of Object.entries(counts.returned))
        sum.returned[key] = (sum.returned[key] ?? 0) + count;
    }
    return sum;
  }

  /** The sockets, as the datagrams they send to their groups show them. */
  get own(): OwnSender[] {
    return this.#sinks.map(({ own }) => own);
  }

  /** Takes lines, each of which becomes a message, or datagrams, each of which does. */
  write(batch: Batch): void {
    if (batch.lines) batch.each((offset, length) => this.#packer.lines(batch.slab, offset, length));
    else batch.each((offset, length) => this.#packer.message(batch.slab, offset, length));
    this.#pass();
  }

  flush(): void {
    this.#packer.flush();
    this.#pass();
  }

  room(): Promise<void> | undefined {
    if (this.#sinceWait >= WAIT_EVERY && this.#isAsked()) this.#behind ??= this.#waitForThem();
    const busy = this.#pending > 0 ? this.#busy : undefined;
    return busy && this.#behind
      ? Promise.all([busy, this.#behind]).then(() => undefined)
      : (busy ?? this.#behind);
  }

  /** Whether receivers that are far behind ask, who will soon find the store without what they lack. */
  #isAsked(): boolean {
    return performance.now() - this.#repairServer.lateAt < QUIET_MS && !this.#aborted.signal.aborted;
  }

  async #waitForThem(): Promise<void> {
    const until = performance.now() + MOST_WAIT_MS;
    while (this.#isAsked() && performance.now() < until) await wait(1);
    this.#sinceWait = 0;
    this.#behind = undefined;
  }

  abortPending(): void {
    this.#aborted.abort();
    for (const sink of this.#sinks) sink.abortPending();
  }

  /** Says that the session is over, and answers requests until nobody asks any more. */
  async close(): Promise<void> {
    this.flush();
    await this.#busy;
    clearInterval(this.#heartbeats);
    await this.#linger(this.#packer.end());
    this.#repairServer.stop();
    await Promise.all(this.#sinks.map((sink) => sink.close()));
    const { messages, answers } = this.counts.mold!;
    this.program.notice(
      `session ${this.options.session.trim()}: ${showCount(messages, 'message')} sent, ${showCount(answers, 'packet')} sent again`,
    );
  }

  async #linger(end: Buffer): Promise<void> {
    const clock = new RunningClock(10 * END_MS);
    let now = clock.now();
    let quietSince = now;
    let { askedAt } = this.#repairServer;
    const latest = now + this.options.linger + MOST_LINGER_MS + this.#repairServer.storeMs;
    do {
      this.#sendAlone(end);
      if (this.#aborted.signal.aborted) return;
      await wait(END_MS, undefined, { signal: this.#aborted.signal }).catch(() => undefined);
      // Timers come first: what was asked meanwhile is read before anybody is found to be silent.
      await nextTurn();
      now = clock.now();
      if (askedAt !== this.#repairServer.askedAt) quietSince = now;
      askedAt = this.#repairServer.askedAt;
    } while (now < latest && (now - quietSince < this.options.linger || this.#repairServer.busy));
  }

  #add(offset: number, length: number): void {
    if (this.#batch.count === 0) this.#batch.reset(this.#store.slab);
    this.#batch.add(offset, length);
    this.#bytes += length;
    this.#sinceWait += length;
    if (this.#batch.full || this.#bytes >= BATCH_BYTES) this.#pass();
  }

  /** Hands on the packets that are complete. */
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
      const room = sink.room();
      if (room) rooms.push(room);
    }
    return rooms.length > 0 ? Promise.all(rooms).then(() => undefined) : undefined;
  }

  #beat(): void {
    if (performance.now() - this.#sentAt < HEARTBEAT_MS) return;
    if (this.#pending === 0) this.#sendAlone(this.#packer.heartbeat());
    // While packets wait for their time to be sent, their numbers are nobody's business.
    else this.#sendAlone(headerAlone(this.options.session, this.#sentNext, HEARTBEAT));
  }

  /** A packet that is not kept, and not paced. */
  #sendAlone(packet: Buffer): void {
    const batch = new Batch();
    batch.reset(packet);
    batch.add(0, packet.length);
    this.#send(batch);
  }
}

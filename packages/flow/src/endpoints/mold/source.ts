import { type SocketAddress, showAddress, showDuration } from 'mproxy-base';
import { type Batch, MAX_DATAGRAM } from 'mproxy-framing';
import { countOf, HEARTBEAT, isPacket, sequenceOf, sessionOf } from 'mproxy-mold';
import type { Deliver } from 'mproxy-net';
import type { SourceCounts } from '../../counts.js';
import { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import type { Source } from '../../source.js';
import type { PacketSource } from '../../transport.js';
import { RunningClock } from './clock.js';
import { SESSION_ENDED, SESSION_RESUMED, SESSION_SILENT, STRAY_ANSWER } from './events.js';
import { MOLD_FLAG_NAMES } from './flags.js';
import { Messages } from './messages.js';
import { RepairClient } from './repair-client.js';
import type { Session, SessionOwner } from './session.js';
import type { MoldReceiving } from './session-table.js';
import { type SessionEvents, SessionTable } from './session-table.js';
import { Stored } from './stored.js';

/** A sender without packets for this long is gone, ms; it sends a heartbeat every second. */
const SILENCE_MS = 5000;
const CHECK_MS = 500;

/** Sessions that sources with the same sinks share. */
export interface SharedSessions extends SessionEvents {
  named(sinks: readonly Sink[]): Map<string, Session>;
}

/** A source of MoldUDP64 packets: delivers their messages, each once and in order. */
export class MoldSource implements Source, SessionOwner {
  readonly #messages = new Messages();
  readonly #notices: NoticeLimit;
  readonly #sessions: SessionTable;
  readonly #repairClient: RepairClient;
  readonly #clock = new RunningClock(2 * CHECK_MS);
  readonly #stopping = new AbortController();
  #answersRead: NodeJS.Immediate | undefined;
  /** Whether the source of the packets runs. */
  #running = false;
  #ended = false;
  #malformed = 0;
  readonly #stored: Stored;

  constructor(
    private readonly program: Program,
    private readonly packets: PacketSource,
    private readonly options: MoldReceiving,
    private readonly events: SharedSessions,
    /** Whether the source of the packets waits for sinks that have no room. */
    private readonly waits: boolean,
  ) {
    this.#notices = new NoticeLimit(`receiving: ${this.name}`, program);
    const { name } = this;
    const { fromStart, repairTimeout } = options;
    this.#sessions = new SessionTable(
      {
        ...{ name, owner: this, fromStart, repairTimeout, notices: this.#notices },
        requests: () => this.#repairClient,
        resumed: () => packets.resumed,
        deliver: (bytes, offset, length, count) => this.#messages.add(bytes, offset, length, count),
      },
      events,
    );
    this.#stored = new Stored(this.#sessions, () => this.#messages.pass());
    this.#repairClient = new RepairClient(this.#sessions, this.#clock, {
      onMessage: (bytes, from) => this.#onAnswer(bytes, from),
      ended: (session) => this.#end(session),
      passed: () => {
        this.#messages.pass();
        this.#stored.advance();
      },
    });
  }

  get name(): string {
    return this.packets.name;
  }

  get disconnected(): string | undefined {
    return this.packets.disconnected;
  }

  get advice(): string | undefined {
    return this.packets.advice;
  }

  get counts(): SourceCounts {
    return { ...this.packets.counts, mold: { ...this.#sessions.counts, malformed: this.#malformed } };
  }

  get lost(): string {
    return this.#sessions.lost;
  }

  get lossAdvice(): string | undefined {
    return this.options.requestAddr ? undefined : this.packets.lossAdvice;
  }

  takeOver(sinks: readonly Sink[]): Sink[] {
    this.#sessions.named = this.events.named(sinks);
    return [];
  }

  async run(deliver: Deliver, stored: () => Promise<void> | undefined): Promise<void> {
    this.#messages.deliver = deliver;
    await this.#openRepairClient();
    this.#running = true;
    const check = setInterval(() => this.#checkSilence(), CHECK_MS);
    try {
      const run = this.packets.run(
        (batch) => this.#onBatch(batch),
        () => this.#stored.by(stored),
      );
      if (this.#stopping.signal.aborted) this.packets.stop();
      await run;
    } finally {
      this.#ended = true;
      clearInterval(check);
      clearImmediate(this.#answersRead);
      this.#repairClient.close();
      // Buffered messages are delivered; those missing before them are lost.
      for (const session of this.#sessions.values()) if (!session.over) session.tracker.abandon();
      this.#messages.pass();
    }
  }

  ignore(own: unknown): void {
    this.packets.ignore?.(own);
  }

  stop(): void {
    this.#stopping.abort();
    // Stopped before it runs, it would not deliver what the kernel holds.
    if (this.#running) this.packets.stop();
  }

  /** A source that is stopped meanwhile still delivers what it received, without requests. */
  async #openRepairClient(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      await this.#repairClient.open(
        this.program.engine,
        this.options.requestAddr,
        this.packets.local,
        signal,
      );
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** The hot path: all packets except retransmissions. */
  #onBatch(batch: Batch): Promise<void> | undefined {
    const now = this.#clock.now();
    for (let i = 0; i < batch.count; i++) {
      const from = batch.from[i];
      const end = batch.offset[i]! + batch.length[i]!;
      const step = batch.segment[i]! || batch.length[i]! || 1;
      if (!from && this.packets.local) continue;
      for (let at = batch.offset[i]!; at < end; at += step)
        this.#onPacket(batch.slab, at, Math.min(step, end - at), from, now);
    }
    this.#repairClient.ask(now);
    this.#stored.advance();
    if (this.waits) return this.#messages.pass();
    this.#messages.passSoon();
    return undefined;
  }

  #askAndPass(now: number): void {
    this.#repairClient.ask(now);
    this.#stored.advance();
    this.#messages.passSoon();
  }

  #onPacket(
    bytes: Buffer,
    offset: number,
    length: number,
    from: SocketAddress | undefined,
    now: number,
  ): void {
    if (!this.#isPacket(bytes, offset, length)) return;
    const session = this.#sessions.find(bytes, offset, from);
    if (!session) return;
    if (session.owner === this) this.#take(session, bytes, offset, length, now);
    else session.owner!.receive(session, bytes, offset, length);
  }

  receive(session: Session, bytes: Buffer, offset: number, length: number): void {
    const now = this.#clock.now();
    this.#take(session, bytes, offset, length, now);
    // After its end nothing else arrives that could fill a gap here.
    if (this.#ended) session.tracker.abandon();
    this.#askAndPass(now);
  }

  #take(session: Session, bytes: Buffer, offset: number, length: number, now: number): void {
    session.heardAt = now;
    if (session.over && !session.tracker.ended) this.#resume(session);
    session.tracker.packet(bytes, offset, length, now);
    if (session.tracker.ended && !session.over) this.#end(session);
  }

  /** Takes a retransmission: it must come from where the request went, for a known session. */
  #onAnswer(bytes: Buffer, from: SocketAddress): void {
    if (!this.#isPacket(bytes, 0, bytes.length)) return;
    const now = this.#clock.now();
    const id = sessionOf(bytes, 0);
    for (const session of this.#sessions.values()) {
      const { ask, tracker } = session;
      if (session.id !== id) continue;
      if (ask?.port !== from.port || ask.address !== from.address) {
        if (ask?.port === from.port && tracker.waits) this.#reportStray(session, ask, from);
        continue;
      }
      session.heardAt = now;
      const number = sequenceOf(bytes, 0);
      // A heartbeat with a past number: the sender no longer stores earlier messages.
      if (countOf(bytes, 0) === HEARTBEAT && number < tracker.known) tracker.gone(number);
      else tracker.packet(bytes, 0, bytes.length, now);
      if (tracker.ended && !session.over) this.#end(session);
    }
    this.#answersRead ??= setImmediate(() => this.#afterAnswers());
  }

  /** A multihomed host may answer from another address than the request went to (ip(7)); so may a forger. */
  #reportStray(session: Session, ask: SocketAddress, from: SocketAddress): void {
    if (session.strayed) return;
    session.strayed = true;
    const [requested, answered] = [showAddress(ask), showAddress(from)];
    const advice = `give ${MOLD_FLAG_NAMES.requestAddr} ${answered}, or the sender --bind`;
    const event = { source: this.name, session: session.name, requested, answered, advice };
    this.#notices.emit(STRAY_ANSWER, event);
  }

  /** Runs when all retransmissions that the kernel held were read. */
  #afterAnswers(): void {
    this.#answersRead = undefined;
    this.#askAndPass(this.#clock.now());
  }

  #isPacket(bytes: Buffer, offset: number, length: number): boolean {
    // Other transports carry larger messages than UDP, but packets are no larger.
    if (length <= MAX_DATAGRAM && isPacket(bytes, offset, length)) return true;
    this.#malformed++;
    return false;
  }

  #end(session: Session): void {
    session.over = true;
    this.#messages.pass();
    this.#notices.emit(SESSION_ENDED, { source: this.name, ...session.outcome });
    this.events.over(this.name, session.lost);
  }

  #checkSilence(): void {
    const now = this.#clock.now();
    this.#sessions.forgetOld(now);
    for (const session of this.#sessions.values()) {
      const silence = now - session.heardAt;
      if (session.over || silence < Math.max(SILENCE_MS, this.options.repairTimeout)) continue;
      session.tracker.abandon();
      this.#stored.advance();
      if (session.tracker.ended) {
        this.#end(session);
        continue;
      }
      session.over = true;
      this.#messages.pass();
      const why = `nothing received for ${showDuration(silence)}, no end of session: its sender is gone`;
      this.#notices.emit(SESSION_SILENT, { source: this.name, session: session.name, reason: why });
      this.events.over(this.name, `${session.name}: ${why}`);
    }
  }

  #resume(session: Session): void {
    session.over = false;
    this.#notices.emit(SESSION_RESUMED, { source: this.name, session: session.name });
  }
}

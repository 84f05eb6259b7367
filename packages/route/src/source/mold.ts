import {
  checkPacket,
  countOf,
  END_OF_SESSION,
  HEARTBEAT,
  isOf,
  MoldError,
  sequenceOf,
  sessionOf,
  Tracker,
  type TrackerOptions,
} from 'mproxy-framing';
import type { Batch, Deliver, Endpoint } from 'mproxy-udp';
import { showEndpoint } from '../address.js';
import type { SourceCounts } from '../counts.js';
import { RunningClock } from '../mold/clock.js';
import { Messages } from '../mold/messages.js';
import type { MoldReceiving } from '../mold/options.js';
import { RepairClient } from '../mold/repair-client.js';
import { Session } from '../mold/session.js';
import type { Sessions } from '../mold/sessions.js';
import { type Event, NoticeLimit } from '../notices.js';
import type { Service } from '../service.js';
import type { Source } from '../source.js';
import { showCount, showDuration } from '../units.js';
import type { UdpSource } from './udp.js';

/** Bytes of packets that are held until what is missing before them has come: sessions share them, each has the least. */
const WINDOW = 64 * 1024 * 1024;
const LEAST_WINDOW = 128 * 1024;
/** A sender that is silent for so many heartbeats is gone. */
const SILENCE_MS = 5000;
const LOOK_MS = 500;
/** Sessions that are known at once; and how long one that is over is remembered, so that no echo begins it anew. */
const MOST_SESSIONS = 1024;
const REMEMBER_MS = 60_000;

const EVENTS = {
  heard: ['session heard', 'sessions heard'],
  ended: ['session ended', 'sessions ended'],
  silent: ['session without an end', 'sessions without an end'],
  again: ['session heard again', 'sessions heard again'],
  stray: ['session answered from elsewhere', 'sessions answered from elsewhere'],
  refused: ['time too many sessions', 'times too many sessions'],
} satisfies Record<string, Event>;

/** A UDP source whose datagrams are packets of MoldUDP64: delivers their messages, each once and in order. */
export class MoldSource implements Source {
  readonly #sessions = new Map<string, Session>();
  readonly #messages = new Messages();
  readonly #notices: NoticeLimit;
  #look: NodeJS.Timeout | undefined;
  #answers: NodeJS.Immediate | undefined;
  readonly #clock = new RunningClock(2 * LOOK_MS);
  readonly #stopping = new AbortController();
  /** Whether the UDP source runs. */
  #opened = false;
  readonly #repairClient = new RepairClient(this.#sessions, this.#clock, {
    onMessage: (bytes, from) => this.#answered(bytes, from),
    ended: (session) => this.#end(session),
    passed: () => this.#messages.pass(),
  });
  /** That of the packet before, which mostly is that of the next. */
  #newest: Session | undefined;
  #malformed = 0;
  /** Whether a session was refused since one was forgotten. */
  #refused = false;
  #past = { gaps: 0, asked: 0, repaired: 0, duplicates: 0, lost: 0 };

  constructor(
    private readonly service: Service,
    private readonly udp: UdpSource,
    private readonly options: MoldReceiving,
    private readonly all: Sessions,
  ) {
    this.#notices = new NoticeLimit(`receiving: ${this.name}`, service);
  }

  get name(): string {
    return this.udp.name;
  }

  get advice(): string {
    return this.udp.advice;
  }

  get counts(): SourceCounts {
    const mold = { ...this.#past, malformed: this.#malformed };
    for (const { tracker } of this.#sessions.values()) {
      const { gaps, asked, repaired, duplicates, lost } = tracker.counts;
      mold.gaps += gaps;
      mold.asked += asked;
      mold.repaired += repaired;
      mold.duplicates += duplicates;
      mold.lost += lost;
    }
    return { ...this.udp.counts, mold };
  }

  get lost(): string {
    return [...this.#sessions.values()].flatMap((session) => session.lost ?? []).join('; ');
  }

  async run(deliver: Deliver): Promise<void> {
    this.#messages.deliver = deliver;
    await this.#openAsking();
    this.#opened = true;
    this.#look = setInterval(() => this.#lookForSilence(), LOOK_MS);
    try {
      const run = this.udp.run((batch) => this.#take(batch));
      if (this.#stopping.signal.aborted) this.udp.stop();
      await run;
    } finally {
      clearInterval(this.#look);
      clearImmediate(this.#answers);
      this.#repairClient.close();
      // What was held goes out; what is missing before it is lost.
      for (const session of this.#sessions.values()) if (!session.over) session.tracker.abandon();
      this.#messages.pass();
    }
  }

  stop(): void {
    this.#stopping.abort();
    // Before that it would not deliver what the kernel holds.
    if (this.#opened) this.udp.stop();
  }

  /** Without its requests, a source that is stopped meanwhile still delivers what it has received. */
  async #openAsking(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      await this.#repairClient.open(this.service.engine, this.options.requestAddr, this.udp.local, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** The hot path: every packet that comes by itself. */
  #take(batch: Batch): undefined {
    const now = this.#clock.now();
    for (let i = 0; i < batch.count; i++) {
      const from = batch.from[i];
      const end = batch.offset[i]! + batch.length[i]!;
      const step = batch.segment[i]! || batch.length[i]! || 1;
      for (let at = batch.offset[i]!; from && at < end; at += step)
        this.#packet(batch.slab, at, Math.min(step, end - at), from, now);
    }
    this.#repairClient.ask(now);
    this.#messages.passSoon();
  }

  #packet(bytes: Buffer, offset: number, length: number, from: Endpoint, now: number): void {
    if (!this.#isPacket(bytes, offset, length)) return;
    const session = this.#find(bytes, offset, from);
    if (!session) return;
    session.heardAt = now;
    if (session.over && !session.tracker.ended) this.#revive(session);
    session.tracker.packet(bytes, offset, length, now);
    if (session.tracker.ended && !session.over) this.#end(session);
  }

  /** An answer to a request: from where it was asked for, and of a session that is known. */
  #answered(bytes: Buffer, from: Endpoint): void {
    if (!this.#isPacket(bytes, 0, bytes.length)) return;
    const now = this.#clock.now();
    const id = sessionOf(bytes, 0);
    for (const session of this.#sessions.values()) {
      const { ask, tracker } = session;
      if (session.id !== id) continue;
      if (ask.port !== from.port || ask.address !== from.address) {
        if (ask.port === from.port && tracker.waits) this.#stray(session, from);
        continue;
      }
      session.heardAt = now;
      const number = sequenceOf(bytes, 0);
      // A heartbeat with a number that is past: what is before it is not kept any more.
      if (countOf(bytes, 0) === HEARTBEAT && number < tracker.known) tracker.gone(number);
      else tracker.packet(bytes, 0, bytes.length, now);
      if (tracker.ended && !session.over) this.#end(session);
    }
    this.#answers ??= setImmediate(() => this.#afterAnswers());
  }

  /** A host of several addresses answers from another than was asked (ip(7)); but so does who forges. */
  #stray(session: Session, from: Endpoint): void {
    if (session.strayed) return;
    session.strayed = true;
    const [asked, came] = [showEndpoint(session.ask), showEndpoint(from)];
    const what = `${session.name}: asked at ${asked}, and answered from ${came}, which is not taken`;
    this.#notices.loss(
      EVENTS.stray,
      `receiving: ${this.name}: ${what}; give --request-addr ${came}, or the sender --bind`,
    );
  }

  /** All answers that were there to be read were taken. */
  #afterAnswers(): void {
    this.#answers = undefined;
    this.#repairClient.ask(this.#clock.now());
    this.#messages.passSoon();
  }

  #isPacket(bytes: Buffer, offset: number, length: number): boolean {
    try {
      checkPacket(bytes, offset, length);
      return true;
    } catch (error) {
      if (!(error instanceof MoldError)) throw error;
      this.#malformed++;
      return false;
    }
  }

  /** The session of a packet; a new one begins with it. */
  #find(bytes: Buffer, offset: number, from: Endpoint): Session | undefined {
    const newest = this.#newest;
    if (newest && newest.from === from && isOf(newest.id, bytes, offset)) return newest;
    const id = sessionOf(bytes, offset);
    const key = `${id}${from.port} ${from.address}`;
    const known = this.#sessions.get(key);
    this.#newest = known;
    if (known) return known;
    if (this.#sessions.size >= MOST_SESSIONS) {
      this.#refuse();
      return undefined;
    }
    const first = this.options.fromStart ? 1 : Math.max(1, sequenceOf(bytes, offset));
    const session = new Session(id, from, this.#repairClient.to ?? from, (lost) => this.#track(first, lost));
    this.#sessions.set(key, session);
    this.all.add(session);
    const late = countOf(bytes, offset) === END_OF_SESSION ? ', which has ended' : '';
    this.#notices.notice(
      EVENTS.heard,
      `receiving: ${this.name}: ${session.name} from message ${first}${late}`,
    );
    return session;
  }

  #refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    const most = showCount(MOST_SESSIONS, 'session');
    this.#notices.loss(
      EVENTS.refused,
      `receiving: ${this.name}: ${most} heard within a minute; what others send is lost`,
    );
  }

  #track(first: number, lost: TrackerOptions['lost']): Tracker {
    const sessions = this.#sessions;
    const { room } = this.#repairClient;
    return new Tracker({
      first,
      get window() {
        return Math.max(LEAST_WINDOW, WINDOW / sessions.size);
      },
      get budget() {
        return room / sessions.size;
      },
      timeout: this.options.repairTimeout,
      random: Math.random,
      deliver: (bytes, offset, length, count) => this.#messages.add(bytes, offset, length, count),
      lost,
    });
  }

  #end(session: Session): void {
    session.over = true;
    this.#messages.pass();
    this.#notices.notice(EVENTS.ended, `ended: ${this.name}: ${session.summary}`);
    this.all.over(this.name, session.lost);
  }

  #lookForSilence(): void {
    const now = this.#clock.now();
    for (const [key, session] of this.#sessions) {
      const silence = now - session.heardAt;
      if (session.over && silence > REMEMBER_MS) this.#forget(key, session);
      if (session.over || silence < Math.max(SILENCE_MS, this.options.repairTimeout)) continue;
      session.tracker.abandon();
      if (session.tracker.ended) {
        this.#end(session);
        continue;
      }
      session.over = true;
      this.#messages.pass();
      const why = `nothing heard for ${showDuration(silence)}, no end of session: its sender is gone`;
      this.#notices.loss(EVENTS.silent, `receiving: ${this.name}: ${session.name}: ${why}`);
      this.all.over(this.name, `${session.name}: ${why}`);
    }
  }

  /** A session that was silent goes on. */
  #revive(session: Session): void {
    session.over = false;
    this.#notices.notice(EVENTS.again, `receiving: ${this.name}: ${session.name}: heard again`);
  }

  #forget(key: string, session: Session): void {
    const { counts } = session.tracker;
    const past = this.#past;
    for (const name of Object.keys(past) as (keyof typeof past)[]) past[name] += counts[name];
    this.#sessions.delete(key);
    this.#newest = undefined;
    this.#refused = false;
    this.all.forget(session);
  }
}

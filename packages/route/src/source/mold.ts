import {
  checkPacket,
  countOf,
  END_OF_SESSION,
  HEADER,
  MESSAGE_HEADER,
  MoldError,
  messageLength,
  sequenceOf,
  sessionOf,
  Tracker,
  writeHeader,
} from 'mproxy-framing';
import { Batch, type Deliver, type Endpoint, type Exchange } from 'mproxy-udp';
import { showEndpoint } from '../address.js';
import type { SourceCounts } from '../counts.js';
import type { MoldReceiving } from '../mold/options.js';
import type { Sessions } from '../mold/sessions.js';
import { resolveFirst, scoped } from '../resolve.js';
import type { Service } from '../service.js';
import type { Source } from '../source.js';
import { showCount, showDuration } from '../units.js';
import type { UdpSource } from './udp.js';

/** Bytes of packets that are held until what is missing before them has come: sessions share them, each has the least. */
const WINDOW = 64 * 1024 * 1024;
const LEAST_WINDOW = 128 * 1024;
/** Asked of the kernel for the socket that answers come to, in bytes; a quarter of what it grants may be asked for. */
const ANSWER_BUFFER = 4 * 1024 * 1024;
/** A sender that is silent for so many heartbeats is gone. */
const SILENCE_MS = 5000;
const LOOK_MS = 500;
/** Sessions that are known at once; and how long one that is over is remembered, so that no echo begins it anew. */
const MOST_SESSIONS = 1024;
const REMEMBER_MS = 60_000;
/** Ranges of lost messages that are told one by one. */
const MOST_TOLD = 8;
/** Messages gathered at most, in bytes, and room for the largest one behind them. */
const GATHER = 256 * 1024;
const ROOM = GATHER + 65_536 + 8;

/** One session of one sender. */
interface Session {
  name: string;
  id: string;
  tracker: Tracker;
  /** Where requests go. */
  ask: Endpoint;
  heardAt: number;
  over: boolean;
  lost: Lost;
}

/** What a session lost: the first ranges, the number of all, and where the last of them ends. */
interface Lost {
  told: { first: number; end: number }[];
  ranges: number;
  end: number;
}

/** A UDP source whose datagrams are packets of MoldUDP64: delivers their messages, each once and in order. */
export class MoldSource implements Source {
  readonly #sessions = new Map<string, Session>();
  readonly #batch = new Batch();
  readonly #room = Buffer.allocUnsafeSlow(ROOM);
  readonly #roomView = new DataView(this.#room.buffer, this.#room.byteOffset, this.#room.length);
  #source: { bytes: Buffer; view: DataView } = {
    bytes: Buffer.alloc(0),
    view: new DataView(new ArrayBuffer(0)),
  };
  #filled = 0;
  #deliver: Deliver = () => undefined;
  #exchange: Exchange | undefined;
  #requestTo: Endpoint | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #look: NodeJS.Timeout | undefined;
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
    this.#batch.lent = true;
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
    return [...this.#sessions.values()].flatMap((session) => showLost(session)).join('; ');
  }

  async run(deliver: Deliver): Promise<void> {
    this.#deliver = deliver;
    await this.#openExchange();
    this.#look = setInterval(() => this.#lookForSilence(), LOOK_MS);
    try {
      await this.udp.run((batch) => this.#take(batch));
    } finally {
      clearInterval(this.#look);
      clearTimeout(this.#timer);
      this.#exchange?.close();
      // What was held goes out; what is missing before it is lost.
      for (const session of this.#sessions.values())
        if (!session.over) session.tracker.abandon(performance.now());
      this.#pass();
    }
  }

  stop(): void {
    this.udp.stop();
  }

  async #openExchange(): Promise<void> {
    const { requestAddr } = this.options;
    if (requestAddr) {
      const answer = await resolveFirst(requestAddr);
      this.#requestTo = { address: scoped(answer), port: answer.port };
    }
    const family = (this.#requestTo?.address ?? this.udp.local.address).includes(':') ? 6 : 4;
    this.#exchange = await this.service.engine.openExchange({
      family,
      receiveBuffer: ANSWER_BUFFER,
      heard: (bytes, from) => this.#answered(bytes, from),
    });
  }

  /** The hot path: every packet that comes by itself. */
  #take(batch: Batch): undefined {
    const now = performance.now();
    for (let i = 0; i < batch.count; i++) {
      const from = batch.from[i];
      const end = batch.offset[i]! + batch.length[i]!;
      const step = batch.segment[i]! || batch.length[i]! || 1;
      for (let at = batch.offset[i]!; from && at < end; at += step)
        this.#packet(batch.slab, at, Math.min(step, end - at), from, now);
    }
    this.#ask(now);
    this.#pass();
  }

  #packet(bytes: Buffer, offset: number, length: number, from: Endpoint, now: number): void {
    if (!this.#isPacket(bytes, offset, length)) return;
    const session = this.#find(bytes, offset, from);
    if (!session) return;
    session.heardAt = now;
    session.tracker.packet(bytes, offset, length, now);
    if (session.tracker.ended && !session.over) this.#end(session);
  }

  /** An answer to a request: from where it was asked for, and of a session that is known. */
  #answered(bytes: Buffer, from: Endpoint): void {
    if (!this.#isPacket(bytes, 0, bytes.length)) return;
    const now = performance.now();
    const id = sessionOf(bytes, 0);
    for (const session of this.#sessions.values()) {
      const { ask, tracker } = session;
      if (session.id !== id || ask.port !== from.port || ask.address !== from.address) continue;
      session.heardAt = now;
      // With a number that is past: what is before it is not kept any more.
      if (countOf(bytes, 0) === 0) tracker.gone(sequenceOf(bytes, 0), now);
      else tracker.packet(bytes, 0, bytes.length, now);
      if (tracker.ended && !session.over) this.#end(session);
    }
    this.#ask(now);
    this.#pass();
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
    const id = sessionOf(bytes, offset);
    const key = `${id}${from.port} ${from.address}`;
    const known = this.#sessions.get(key);
    if (known) return known;
    if (this.#sessions.size >= MOST_SESSIONS) {
      this.#refuse();
      return undefined;
    }
    const sequence = Math.max(1, sequenceOf(bytes, offset));
    // Whatever a packet says goes to no terminal.
    const name = `session ${id.trim().replace(/[^ -~]/g, '?')} of ${showEndpoint(from)}`;
    const session: Session = {
      name,
      id,
      tracker: this.#track(() => session, this.options.fromStart ? 1 : sequence),
      ask: this.#requestTo ?? from,
      heardAt: 0,
      over: false,
      lost: { told: [], ranges: 0, end: 0 },
    };
    this.#sessions.set(key, session);
    this.all.add(session);
    const late = countOf(bytes, offset) === END_OF_SESSION ? ', which has ended' : '';
    this.service.notice(`receiving: ${this.name}: ${name} from message ${session.tracker.next}${late}`);
    return session;
  }

  #refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    const most = showCount(MOST_SESSIONS, 'session');
    this.service.loss(`receiving: ${this.name}: ${most} heard within a minute; what others send is lost`);
  }

  #track(session: () => Session, first: number): Tracker {
    const sessions = this.#sessions;
    return new Tracker({
      first,
      get window() {
        return Math.max(LEAST_WINDOW, WINDOW / sessions.size);
      },
      budget: this.#exchange!.receiveBuffer / 4,
      timeout: this.options.repairTimeout,
      random: Math.random,
      deliver: (bytes, offset, length, count) => this.#messages(bytes, offset, length, count),
      lost: (from, count) => addLost(session().lost, from, from + count),
    });
  }

  #end(session: Session): void {
    session.over = true;
    const { next, counts } = session.tracker;
    const { gaps, asked, repaired, duplicates, lost } = counts;
    this.#pass();
    const figures = [
      showCount(gaps, 'gap'),
      `${asked.toLocaleString('en')} asked`,
      `${repaired.toLocaleString('en')} repaired`,
      showCount(duplicates, 'duplicate'),
      `${lost.toLocaleString('en')} lost`,
    ];
    this.service.notice(
      `ended: ${this.name}: ${session.name} at message ${(next - 1).toLocaleString('en')}; ${figures.join(', ')}`,
    );
    this.all.over(this.name, lost > 0 ? showLost(session)[0] : undefined);
  }

  /** Asks for what is missing and due, and comes back when the next is. */
  #ask(now: number): void {
    let again = Number.POSITIVE_INFINITY;
    for (const session of this.#sessions.values()) {
      const { tracker } = session;
      if (session.over || !tracker.waits) continue;
      again = Math.min(
        again,
        tracker.ask(now, (first, count) => this.#request(session, first, count)),
      );
      if (tracker.ended) this.#end(session);
    }
    if (now + again >= this.#timerAt && this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (again === Number.POSITIVE_INFINITY) return;
    this.#timerAt = now + again;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#ask(performance.now());
        this.#pass();
      },
      Math.max(1, again),
    );
  }

  #request({ id, ask }: Session, first: number, count: number): void {
    const request = Buffer.allocUnsafe(HEADER);
    writeHeader(request, 0, id, first, count);
    this.#exchange?.send(request, ask);
  }

  #lookForSilence(): void {
    const now = performance.now();
    for (const [key, session] of this.#sessions) {
      const silence = now - session.heardAt;
      if (session.over && silence > REMEMBER_MS) this.#forget(key, session);
      if (session.over || silence < Math.max(SILENCE_MS, this.options.repairTimeout)) continue;
      session.over = true;
      session.tracker.abandon(now);
      this.#pass();
      const why = `nothing heard for ${showDuration(silence)}, no end of session: its sender is gone`;
      this.service.loss(`receiving: ${this.name}: ${session.name}: ${why}`);
      this.all.over(this.name, `${session.name}: ${why}`);
    }
  }

  #forget(key: string, session: Session): void {
    const { counts } = session.tracker;
    const past = this.#past;
    for (const name of Object.keys(past) as (keyof typeof past)[]) past[name] += counts[name];
    this.#sessions.delete(key);
    this.#refused = false;
    this.all.forget(session);
  }

  /** Puts messages one behind the other, without the lengths that were before them. */
  #messages(bytes: Buffer, offset: number, length: number, count: number): void {
    if (this.#source.bytes !== bytes) {
      this.#source = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
    }
    let at = offset;
    for (let i = 0; i < count; i++) {
      if (this.#batch.full || this.#filled >= GATHER) this.#pass();
      const size = messageLength(bytes, at);
      at += MESSAGE_HEADER;
      this.#copy(at, size, offset + length);
      if (this.#batch.count === 0) this.#batch.reset(this.#room);
      this.#batch.add(this.#filled, size);
      this.#filled += size;
      at += size;
    }
  }

  /** Copies a word at a time: for a line that is quicker than any call. What is copied too much is written again. */
  #copy(from: number, size: number, end: number): void {
    const source = this.#source.view;
    const to = this.#filled;
    const words = Math.min((size + 3) & ~3, (end - from) & ~3);
    let i = 0;
    for (; i < words; i += 4) this.#roomView.setInt32(to + i, source.getInt32(from + i, true), true);
    for (; i < size; i++) this.#room[to + i] = this.#source.bytes[from + i]!;
  }

  #pass(): void {
    this.#filled = 0;
    if (this.#batch.count === 0) return;
    this.#deliver(this.#batch);
    this.#batch.reset(this.#room);
  }
}

function addLost(lost: Lost, first: number, end: number): void {
  if (lost.ranges === 0 || lost.end !== first) {
    lost.ranges++;
    if (lost.ranges <= MOST_TOLD) lost.told.push({ first, end });
  } else if (lost.ranges <= MOST_TOLD) lost.told.at(-1)!.end = end;
  lost.end = end;
}

/** What a session lost, with its numbers. */
function showLost({ name, lost, tracker }: Session): string[] {
  const { told, ranges } = lost;
  if (ranges === 0) return [];
  const numbers = told.map(({ first, end }) => (end - first === 1 ? `${first}` : `${first} to ${end - 1}`));
  const more = ranges > MOST_TOLD ? ` and ${showCount(ranges - MOST_TOLD, 'more range')}` : '';
  return [
    `${name}: messages ${numbers.join(', ')}${more} (${tracker.counts.lost.toLocaleString('en')} in all)`,
  ];
}

import {
  checkPacket,
  countOf,
  END_OF_SESSION,
  HEADER,
  MESSAGE_HEADER,
  MoldError,
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
/** All sessions are looked at for what is due at most so often: a flood of packets must not make it dear. */
const SWEEP_MS = 2;
/** Sessions that are known at once; and how long one that is over is remembered, so that no echo begins it anew. */
const MOST_SESSIONS = 1024;
const REMEMBER_MS = 60_000;
/** Ranges of lost messages that are told one by one. */
const MOST_TOLD = 8;
/** Messages gathered at most, in bytes, and their number: a packet's always fit. */
const ROOM = 256 * 1024;
const MOST_GATHERED = 65_536;
/** What a copy a word at a time writes too much. */
const WORD = 4;

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
  readonly #room = Buffer.allocUnsafeSlow(ROOM + WORD);
  readonly #roomView = new DataView(this.#room.buffer, this.#room.byteOffset, this.#room.length);
  #source: { bytes: Buffer; view: DataView } = {
    bytes: Buffer.alloc(0),
    view: new DataView(new ArrayBuffer(0)),
  };
  /** Of the messages that are gathered, bytes, number and lengths. */
  #filled = 0;
  #gathered = 0;
  readonly #sizes = new Uint16Array(MOST_GATHERED);
  #deliver: Deliver = () => undefined;
  #exchange: Exchange | undefined;
  #requestTo: Endpoint | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #sweptAt = Number.NEGATIVE_INFINITY;
  #look: NodeJS.Timeout | undefined;
  #answers: NodeJS.Immediate | undefined;
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
      clearImmediate(this.#answers);
      this.#exchange?.close();
      // What was held goes out; what is missing before it is lost.
      for (const session of this.#sessions.values()) if (!session.over) session.tracker.abandon();
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
    if (session.over && !session.tracker.ended) this.#revive(session);
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
      if (countOf(bytes, 0) === 0) tracker.gone(sequenceOf(bytes, 0));
      else tracker.packet(bytes, 0, bytes.length, now);
      if (tracker.ended && !session.over) this.#end(session);
    }
    this.#answers ??= setImmediate(() => this.#afterAnswers());
  }

  /** All answers that were there to be read were taken. */
  #afterAnswers(): void {
    this.#answers = undefined;
    this.#ask(performance.now());
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
    const room = this.#exchange!.receiveBuffer / 4;
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
      showCount(asked, 'request'),
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
    const next = this.#sweptAt + SWEEP_MS;
    this.#wakeAt(now < next ? next : now + this.#sweep(now), now);
  }

  /** @returns milliseconds until something is due */
  #sweep(now: number): number {
    this.#sweptAt = now;
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
    return again;
  }

  #wakeAt(time: number, now: number): void {
    if (time >= this.#timerAt && this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (time === Number.POSITIVE_INFINITY) return;
    this.#timerAt = time;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#ask(performance.now());
        this.#pass();
      },
      Math.max(1, time - now),
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
      session.tracker.abandon();
      this.#pass();
      const why = `nothing heard for ${showDuration(silence)}, no end of session: its sender is gone`;
      this.service.loss(`receiving: ${this.name}: ${session.name}: ${why}`);
      this.all.over(this.name, `${session.name}: ${why}`);
    }
  }

  /** A session that was silent goes on. */
  #revive(session: Session): void {
    session.over = false;
    this.service.notice(`receiving: ${this.name}: ${session.name}: heard again`);
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
    if (this.#filled + length > ROOM || this.#gathered + count > MOST_GATHERED) this.#pass();
    if (this.#source.bytes !== bytes) {
      this.#source = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
    }
    const source = this.#source.view;
    const room = this.#roomView;
    const end = offset + length;
    let to = this.#filled;
    for (let i = 0, at = offset; i < count; i++) {
      const size = source.getUint16(at);
      at += MESSAGE_HEADER;
      // A word at a time: for a line that is quicker than any call. What is copied too much is written again.
      const most = Math.min(size, end - at - WORD + 1);
      let done = 0;
      for (; done < most; done += WORD) room.setInt32(to + done, source.getInt32(at + done, true), true);
      for (; done < size; done++) room.setUint8(to + done, source.getUint8(at + done));
      this.#sizes[this.#gathered++] = size;
      to += size;
      at += size;
    }
    this.#filled = to;
  }

  #pass(): void {
    const bytes = this.#filled;
    const count = this.#gathered;
    this.#filled = this.#gathered = 0;
    if (count === 0) return;
    this.#batch.reset(this.#room);
    this.#batch.setSized(0, bytes, this.#sizes, count);
    this.#deliver(this.#batch);
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

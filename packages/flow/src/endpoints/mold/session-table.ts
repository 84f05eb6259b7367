import type { SocketAddress } from 'mproxy-base';
import { showCount } from 'mproxy-base';
import {
  countOf,
  END_OF_SESSION,
  isOf,
  sequenceOf,
  sessionOf,
  Tracker,
  type TrackerCounts,
  type TrackerOptions,
} from 'mproxy-mold';
import type { Event, NoticeLimit } from '../../notices.js';
import type { MoldReceiving } from './options.js';
import { Session } from './session.js';

/** Bytes of packets buffered while earlier ones are missing: shared by all sessions, with a least for each. */
const WINDOW = 64 * 1024 * 1024;
const LEAST_WINDOW = 128 * 1024;
/** Sessions known at once. */
const MOST_SESSIONS = 1024;
/** How long a session that is over is remembered, so that a late duplicate does not begin it anew, in milliseconds. */
const REMEMBER_MS = 60_000;

const HEARD: Event = ['session heard', 'sessions heard'];
const REFUSED: Event = ['time too many sessions', 'times too many sessions'];

/** What a program that ends with its sessions wants to know of them; see `Sessions`. */
export interface SessionEvents {
  add(session: Session): void;
  forget(session: Session): void;
  /** @param why what the session lacks; undefined where it has everything */
  over(which: string, why: string | undefined): void;
}

export interface SessionTableOptions extends Pick<MoldReceiving, 'fromStart' | 'repairTimeout'> {
  /** The name of the source. */
  name: string;
  notices: NoticeLimit;
  /** Where requests go, undefined: to the sender of the session; and the bytes that may be requested at once. */
  requests: () => { to: SocketAddress | undefined; room: number };
  deliver: TrackerOptions['deliver'];
}

/** The sessions that one source receives, each known by its name and its sender. */
export class SessionTable {
  readonly #sessions = new Map<string, Session>();
  /** The session of the last packet, mostly that of the next. */
  #newest: Session | undefined;
  /** Whether a session was refused since one was forgotten. */
  #refused = false;
  /** Counts of sessions that are forgotten. */
  readonly #past: TrackerCounts = { gaps: 0, asked: 0, repaired: 0, duplicates: 0, lost: 0 };

  constructor(
    private readonly options: SessionTableOptions,
    private readonly events: SessionEvents,
  ) {}

  values(): Iterable<Session> {
    return this.#sessions.values();
  }

  get counts() {
    const sum = { ...this.#past };
    for (const { tracker } of this.#sessions.values()) add(sum, tracker.counts);
    return sum;
  }

  /** The session of a packet; a new one begins with it. */
  find(bytes: Buffer, offset: number, from: SocketAddress): Session | undefined {
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
    const to = this.options.requests().to ?? from;
    const session = new Session(id, from, to, (lost) => this.#track(first, lost));
    this.#sessions.set(key, session);
    this.events.add(session);
    const late = countOf(bytes, offset) === END_OF_SESSION ? ', which has ended' : '';
    this.#notice(HEARD, `${session.name} from message ${first}${late}`);
    return session;
  }

  /** Forgets sessions that are over, and were silent for a minute. */
  forgetOld(now: number): void {
    for (const [key, session] of this.#sessions) {
      if (!session.over || now - session.heardAt <= REMEMBER_MS) continue;
      add(this.#past, session.tracker.counts);
      this.#sessions.delete(key);
      this.#newest = undefined;
      this.#refused = false;
      this.events.forget(session);
    }
  }

  #refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    const most = showCount(MOST_SESSIONS, 'session');
    const text = `${most} heard within a minute; what others send is lost`;
    this.options.notices.loss(REFUSED, `receiving: ${this.options.name}: ${text}`);
  }

  #notice(event: Event, text: string): void {
    this.options.notices.notice(event, `receiving: ${this.options.name}: ${text}`);
  }

  #track(first: number, lost: TrackerOptions['lost']): Tracker {
    const sessions = this.#sessions;
    const { repairTimeout: timeout, requests, deliver } = this.options;
    const { room } = requests();
    return new Tracker({
      first,
      get window() {
        return Math.max(LEAST_WINDOW, WINDOW / sessions.size);
      },
      get budget() {
        return room / sessions.size;
      },
      timeout,
      random: Math.random,
      deliver,
      lost,
    });
  }
}

function add(sum: TrackerCounts, more: TrackerCounts): void {
  for (const name of Object.keys(sum) as (keyof TrackerCounts)[]) sum[name] += more[name];
}

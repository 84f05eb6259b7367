import type { SocketAddress } from 'mproxy-base';
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
import type { Address } from 'mproxy-net';
import type { NoticeLimit } from '../../notices.js';
import type { PacketSource } from '../../transport.js';
import { SESSION_RECEIVED, SESSIONS_REFUSED } from './events.js';
import { Session, type SessionOwner } from './session.js';

/** Limit on bytes buffered out of order: shared by all sessions, with a minimum for each. */
const WINDOW = 64 * 1024 * 1024;
const MIN_WINDOW = 128 * 1024;
/** Limit on sessions at a time. */
const MAX_SESSIONS = 1024;
/** How long a finished session is remembered, lest a late duplicate start it again, in milliseconds. */
const REMEMBER_MS = 60_000;
/**
 * Limit on silent sessions without a sender's address that are remembered for longer: a broker that was out of reach may deliver
 * again what it delivered before.
 */
const MAX_SILENT = 16;
/** Limit on forgotten sessions whose losses are listed. */
const MAX_LOST = 8;

/** Events for a program that ends with its sessions; see `Sessions`. */
export interface SessionEvents {
  add(session: Session): void;
  forget(session: Session): void;
  /** @param why what was lost; undefined where the session is complete */
  over(which: string, why: string | undefined): void;
}

/** How sessions are received. */
export interface MoldReceiving {
  /** Request everything from the first message of each session. */
  fromStart: boolean;
  /** Where requests go; default the source of the data. */
  requestAddr: Address | undefined;
  /** How long after its first request a message is given up, in milliseconds. */
  repairTimeout: number;
  /** End when every session has ended, at least one. */
  once: boolean;
}

export interface SessionTableOptions extends Pick<MoldReceiving, 'fromStart' | 'repairTimeout'> {
  /** The name of the source. */
  name: string;
  owner?: SessionOwner;
  notices: NoticeLimit;
  /** Destination of requests (undefined: the session's sender), and bytes that may be outstanding. */
  requests: () => { to: SocketAddress | undefined; room: number };
  /** How the source of the packets goes on where a former run ended. */
  resumed?: () => PacketSource['resumed'];
  deliver: TrackerOptions['deliver'];
}

/**
 * The sessions of one source, identified by name and sender. A transport that does not name senders leaves the name alone: of
 * all sources with the same sinks the first to receive such a session owns it, so that the sinks get it once.
 */
export class SessionTable {
  readonly #sessions = new Map<string, Session>();
  /** Sessions by name, of all sources with the same sinks. */
  named = new Map<string, Session>();
  /** The session and sender of the last packet, usually also those of the next. */
  #latest: Session | undefined;
  #latestFrom: SocketAddress | undefined;
  /** What forgotten sessions lost. */
  readonly #forgottenLost: string[] = [];
  /** Whether a session was refused since the last one was forgotten. */
  #refused = false;
  /** Counts of forgotten sessions. */
  readonly #forgottenCounts: TrackerCounts = { gaps: 0, asked: 0, repaired: 0, duplicates: 0, lost: 0 };

  constructor(
    private readonly options: SessionTableOptions,
    private readonly events: SessionEvents,
  ) {}

  values(): Iterable<Session> {
    return this.#sessions.values();
  }

  get counts() {
    const sum = { ...this.#forgottenCounts };
    for (const { tracker } of this.#sessions.values()) add(sum, tracker.counts);
    return sum;
  }

  /** The messages that were lost, by session; of forgotten sessions the last ones. */
  get lost(): string {
    const present = [...this.#sessions.values()].flatMap((session) => session.lost ?? []);
    return [...this.#forgottenLost, ...present].join('; ');
  }

  /** The session of a packet, created if it is new; undefined beyond the limit. It may be another source's. */
  find(bytes: Buffer, offset: number, from: SocketAddress | undefined): Session | undefined {
    const latest = this.#latest;
    if (latest && this.#latestFrom === from && isOf(latest.id, bytes, offset)) return latest;
    const id = sessionOf(bytes, offset);
    this.#latest = this.#sessions.get(keyOf(id, from)) ?? this.#shared(id, from);
    this.#latestFrom = from;
    if (this.#latest) return this.#latest;
    if (this.#sessions.size >= MAX_SESSIONS) {
      this.#refuse();
      return undefined;
    }
    return this.#create(id, from, bytes, offset);
  }

  /** A session that is received with and without its sender's address, or more than once without. */
  #shared(id: string, from: SocketAddress | undefined): Session | undefined {
    const session = this.named.get(id);
    return session?.from && from ? undefined : session;
  }

  #create(id: string, from: SocketAddress | undefined, bytes: Buffer, offset: number): Session {
    const { owner, name: source, notices, fromStart, requests } = this.options;
    const resumed = this.options.resumed?.();
    const present = Math.max(1, sequenceOf(bytes, offset));
    // A former run stored what came before; of packets that come again, earlier messages may follow later ones.
    const isFormer = resumed?.again === true;
    const first = isFormer || (fromStart && !resumed) ? 1 : present;
    const to = requests().to ?? from;
    const session = new Session(owner, id, from, to, (lost) =>
      this.#track({ first, isFormer, requests: to !== undefined, lost }),
    );
    this.#sessions.set(keyOf(id, from), session);
    if (!this.named.has(id)) this.named.set(id, session);
    this.events.add(session);
    const state = countOf(bytes, offset) === END_OF_SESSION ? 'has ended' : undefined;
    notices.emit(SESSION_RECEIVED, {
      source,
      session: session.name,
      first: isFormer ? present : first,
      state,
    });
    return session;
  }

  /** Forgets finished sessions that were silent for a minute. */
  forgetOld(now: number): void {
    const old = [...this.#sessions].filter(([, { over, heardAt }]) => over && now - heardAt > REMEMBER_MS);
    const silent = old.filter(([, { from, tracker }]) => !from && !tracker.ended);
    const remembered = new Set(silent.slice(-MAX_SILENT));
    for (const [key, session] of old.filter((one) => !remembered.has(one))) {
      add(this.#forgottenCounts, session.tracker.counts);
      if (session.lost !== undefined && this.#forgottenLost.push(session.lost) > MAX_LOST)
        this.#forgottenLost.shift();
      this.#sessions.delete(key);
      if (this.named.get(session.id) === session) this.named.delete(session.id);
      this.#latest = undefined;
      this.#refused = false;
      this.events.forget(session);
    }
  }

  #refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    this.options.notices.emit(SESSIONS_REFUSED, { source: this.options.name, limit: MAX_SESSIONS });
  }

  #track(options: Pick<TrackerOptions, 'first' | 'isFormer' | 'requests' | 'lost'>): Tracker {
    const sessions = this.#sessions;
    const { repairTimeout: timeout, requests, deliver } = this.options;
    const { room } = requests();
    return new Tracker({
      ...options,
      get window() {
        return Math.max(MIN_WINDOW, WINDOW / sessions.size);
      },
      get budget() {
        return room / sessions.size;
      },
      timeout,
      random: Math.random,
      deliver,
    });
  }
}

function keyOf(id: string, from: SocketAddress | undefined): string {
  return from ? `${id}${from.port} ${from.address}` : id;
}

function add(sum: TrackerCounts, more: TrackerCounts): void {
  for (const name of Object.keys(sum) as (keyof TrackerCounts)[]) sum[name] += more[name];
}

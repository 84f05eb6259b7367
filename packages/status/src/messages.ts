import type { Certificate, Lost, Notice, Stats } from 'mproxy-flow';
import type { Network } from 'mproxy-net';

/** What the thread of the status is started with: plain data. */
export interface StatusData {
  /** The name of the program. */
  program: string;
  /** The page, in HTML. */
  page: string;
  /** A path, or IP addresses with one port; 0: the system picks it. */
  listen: { path: string } | { port: number; hosts: Host[] };
  /** Peers that are served; none: all. */
  allow: Network[];
  /** Silence of an input that is unhealthy, in milliseconds; 0: never. */
  healthIdle: number;
  /** URLs of the `/stats` of other programs. */
  peers: string[];
}

/** A local IP address, link-local ones with their zone. */
export interface Host {
  host: string;
  family: 4 | 6;
}

export type State = 'starting' | 'running' | 'stopping';

/** A program at one moment. */
export interface Snapshot {
  state: State;
  stats: Stats;
  losses: Lost[];
  certificates: Certificate[];
}

/** To the thread. */
export type Told =
  /** `isTick`: the one of each second; others were asked for, or tell a new state. */
  | { what: 'snapshot'; snapshot: Snapshot; isTick: boolean }
  | { what: 'notice'; notice: Notice }
  | { what: 'close' };

/** From the thread: first where it listens. */
export interface Listening {
  /** The URLs of the page. */
  urls: string[];
  listen: StatusData['listen'];
}
/** Then, each time that it needs a snapshot: */
export const ASK = 'ask';

import type { FileTarget, HandedOver, Network, OwnSender, SocketTarget } from '../datagrams.js';
import type { ClientsEvent, ClientsOrder, ClientsTask } from '../fanout/thread-clients.js';

/** What a receiving thread and the event loop say to each other. */

/** A socket to receive from, and the sinks that its thread writes to. */
export interface ReceiverTask {
  fd: number;
  ignored: OwnSender[];
  allow?: Network[];
  /** Whether the receive buffer holds the datagrams that arrive during a pause of the thread. */
  roomy: boolean;
  tellsSenders: boolean;
  sockets: SocketTarget[];
  files: FileTarget[];
  clients: ClientsTask[];
  /** Whether a sink is on the event loop. */
  delivers: boolean;
  counts: SharedArrayBuffer;
}

/** The worker's data. */
export interface ThreadData {
  ring: SharedArrayBuffer;
  /** {@link CONTROL_WORDS} words: the number of commands posted so far, or {@link QUIT}; then {@link SINGLE} and {@link EPOLL}. */
  control: SharedArrayBuffer;
  /** Announces commands to a thread that does not block in a socket. */
  eventfd: number;
}

/** Words of {@link ThreadData.control}. */
export const POSTED = 0;
/** Set before the first command: 1 if the thread serves a single receiver, and blocks in its socket. */
export const SINGLE = 1;
/** The descriptor of the thread's loop, while it is open; else 0. A thread that fails does not close it. */
export const EPOLL = 2;
export const CONTROL_WORDS = 3;

/** Stop all receivers, and end. */
export const QUIT = -1;

/** Receivers are known by their slot, a small number that is reused after the end of the receiver. */
export type Command =
  | { what: 'add'; slot: number; task: ReceiverTask }
  /** Deliver the datagrams that the kernel holds, and let go of the socket. */
  | { what: 'stop'; slot: number }
  /** Let go of the socket now. */
  | { what: 'release'; slot: number }
  /** The descriptor became that of another socket. */
  | { what: 'replaced'; slot: number }
  /** Receive: the clients that were there first have been given. Only where the task has clients; before it, nothing is received. */
  | { what: 'begin'; slot: number }
  /** `number`: of {@link ClientsTask}. */
  | { what: 'clients'; number: number; order: ClientsOrder };

export type Report =
  /** The thread takes commands. */
  | { what: 'ready' }
  /** The event loop's end of the ring was empty, and is not any more. */
  | { what: 'more' }
  | { what: 'clients'; number: number; event: ClientsEvent }
  | { what: 'handover'; slot: number; file: number; piece: HandedOver }
  /** The thread let go of the socket; it had written this many of its entries to the ring. */
  | { what: 'ended'; slot: number; entries: number; failure?: { errno: number; call: string } };

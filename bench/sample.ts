/** Result of one contestant at one load. */
export interface Sample {
  /** Datagrams per second that the kernel accepted from the generator. */
  offered: number;
  /** The part that arrived intact, 0 to 1. */
  delivered: number;
  /** Datagrams per second that arrived; for a group, the sum of all clients. */
  rate: number;
  mbps: number;
  /** CPU seconds per 1e9 bytes delivered. */
  cpu: number;
  /** Bytes. */
  rss: number;
  threads: number;
  /** Microseconds. */
  mean: number;
  p50: number;
  p99: number;
  /** Repair: time until all receivers have the file. Many: time until all sockets have delivered. */
  seconds: number;
  /** Repair only: bytes sent divided by the file's size. */
  wire: number;
  /** Gateway only: CPU microseconds for an answer. */
  cost: number;
  /** Start only: milliseconds from the start to the first answer, alone and divided by those of `node -e 0`. */
  start: number;
  starts: number;
  /** Start only: bytes of memory for an idle connection. */
  idle: number;
}

/** Nothing measured: all NaN. */
export const NOTHING: Sample = {
  offered: NaN,
  delivered: NaN,
  rate: NaN,
  mbps: NaN,
  cpu: NaN,
  rss: NaN,
  threads: NaN,
  mean: NaN,
  p50: NaN,
  p99: NaN,
  seconds: NaN,
  wire: NaN,
  cost: NaN,
  start: NaN,
  starts: NaN,
  idle: NaN,
};

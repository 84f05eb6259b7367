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
  p50: number;
  p99: number;
  /** Repair: time until all receivers have the file. Many: time until all sockets have delivered. */
  seconds: number;
  /** Repair only: bytes sent divided by the file's size. */
  wire: number;
}

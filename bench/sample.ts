/** What one contestant did with one load. */
export interface Sample {
  /** Datagrams a second that the kernel took from the generator. */
  offered: number;
  /** The part that arrived whole, 0 to 1. */
  delivered: number;
  /** Datagrams a second that arrived; at a group's clients, all of theirs. */
  rate: number;
  mbps: number;
  /** Seconds of CPU for 1e9 bytes delivered. */
  cpu: number;
  /** Bytes. */
  rss: number;
  /** Microseconds. */
  p50: number;
  p99: number;
  /** Of a repair: until everybody has the file, and times the file that the sender put on its wire. */
  seconds: number;
  wire: number;
}

import type { Batch } from 'mproxy-framing';
import { BATCH_CAPACITY } from 'mproxy-framing/batch';
import type { HandedOver } from '../datagrams.js';
import type { Fanout } from '../fanout/fanout.js';
import type { ClientsTask } from '../fanout/thread-clients.js';
import type { BatchReceiver } from './batch-receiver.js';
import { BatchSender } from './batch-sender.js';
import type { ReceiverTask } from './commands.js';
import { SharedCounts } from './counts.js';
import { ERRNO } from './errno.js';
import { ErrorQueue } from './error-queue.js';
import type { IoVectors } from './io-vectors.js';
import type { Libc } from './libc.js';
import { ENTRY_MEMORY, heldMemory } from './options.js';
import type { RingWriter } from './ring-writer.js';
import { SenderFilter } from './sender-filter.js';
import { FileWriter } from './writer.js';

export const MSG_DONTWAIT = 0x40;
/** How long a stopping receiver delivers queued datagrams, in milliseconds; the rest is dropped and counted. */
const DRAIN_MS = 300;
/** Consecutive receive errors that end a receiver. */
const MAX_FAILURES = 100;
/** A batch of this many bytes is worth its system calls; more would not stay in the processor's cache. */
const LARGE = 64 * 1024;
/**
 * Pause between receives, in milliseconds, to save system calls: for files (SPEC 3: 50 ms) and for MoldUDP64
 * packets, which receivers reorder anyway. The latter is longer, as the event loop must be woken. A relay of
 * plain datagrams does not pause, to UDP or to clients of a TCP listener.
 */
const PAUSE_MS = { file: 0.1, mold: 1 };

/** What the sockets of a thread share. */
export interface ThreadParts {
  libc: Libc;
  receiver: BatchReceiver;
  batch: Batch;
  /** Allocated by the first that writes to a file. */
  vectors: () => IoVectors;
  ring: RingWriter;
  /** Only in a thread with a loop. */
  openFanout: (task: ClientsTask) => Fanout;
  /** Whether the thread serves one socket alone: a send may then block while the buffer of a destination is full. */
  single: boolean;
}

/** Moves datagrams from one socket to its sinks, a batch at a time. */
export class SocketReader {
  /** The longest pause that its data may be delayed by, in milliseconds. */
  readonly maxPause: number;
  /** Entries written to the ring. */
  entries = 0;
  /** The errno that ended it. */
  failed: number | undefined;
  readonly #counts: SharedCounts;
  readonly #filter: SenderFilter;
  readonly #senders: BatchSender[];
  readonly #writers: FileWriter[];
  readonly #fanouts: Fanout[];
  #failures = 0;
  /** Since the stop: when that was, and the bytes that the kernel held then and that were not received since. */
  #drain: { start: number; held: number } | undefined;

  constructor(
    private readonly parts: ThreadParts,
    readonly slot: number,
    readonly task: ReceiverTask,
    handOver: (file: number, piece: HandedOver) => void,
  ) {
    const { libc, vectors, single } = parts;
    const { ignored, allow, roomy, tellsSenders, sockets, files, clients, delivers, counts } = task;
    this.#counts = new SharedCounts(counts);
    this.#filter = new SenderFilter(ignored, allow);
    const pauses = roomy && sockets.length + clients.length === 0 && (!delivers || tellsSenders);
    this.maxPause = pauses ? PAUSE_MS[tellsSenders ? 'mold' : 'file'] : 0;
    this.#senders = sockets.map(({ fd, counts: shared, waits, name }) => {
      const counts = new SharedCounts(shared);
      const queue = new ErrorQueue(libc, fd, (errno) => counts.returned(errno));
      const readErrors = () => queue.read();
      return new BatchSender(libc, fd, counts, {
        waits,
        blocks: single && !waits,
        readErrors,
        name: name && Buffer.from(name),
      });
    });
    this.#writers = files.map(
      (file, i) => new FileWriter(libc, file, (piece) => handOver(i, piece), vectors()),
    );
    this.#fanouts = clients.map(parts.openFanout);
  }

  /** Whether its only sink is the event loop. */
  get onlyDelivers(): boolean {
    return this.#senders.length + this.#writers.length + this.#fanouts.length === 0;
  }

  /** How long the next receive may wait after the last batch, in milliseconds. */
  get pause(): number {
    const { batch } = this.parts;
    return this.maxPause > 0 && batch.count < BATCH_CAPACITY / 2 && batch.bytes < LARGE ? this.maxPause : 0;
  }

  /**
   * Receives and delivers a batch.
   * @returns the number of entries received, 1 for an error; 0 when there were none
   */
  receive(flags: number, discard = false): number {
    const { receiver, batch } = this.parts;
    const result = receiver.receive(this.task.fd, batch, this.#filter, flags);
    if (result < 0) return this.#receiveFailed(-result);
    this.#failures = 0;
    // Counted afterwards: with cold caches everything before the send adds to its latency.
    if (batch.count > 0 && !discard) this.#deliver();
    this.#count(discard);
    return result;
  }

  #count(discarded: boolean): void {
    const { receiver, batch } = this.parts;
    if (receiver.refused > 0) this.#counts.refused += receiver.refused;
    // Ignored datagrams, the command's own, count as received.
    if (batch.count === 0) return;
    this.#counts.received(batch.count, batch.datagrams, batch.bytes);
    if (batch.unterminated) this.#counts.sawUnterminated();
    if (receiver.empty > 0)
      this.#counts.emptied(receiver.empty, receiver.names, receiver.nameOf(receiver.emptyOffset));
    if (discarded) this.#counts.dropped += batch.datagrams;
  }

  /** Whether datagrams wait for room in the buffer of a destination. */
  get backlogged(): boolean {
    return this.#senders.some(({ left }) => left.length > 0);
  }

  /** Sends what waits for room. */
  retry(): void {
    for (const sender of this.#senders) sender.retry();
  }

  /** The last attempt; what finds no room is dropped and counted. */
  finish(): void {
    for (const sender of this.#senders) sender.finish();
  }

  /** Ends with the datagrams that the socket holds now: a flood never ends. */
  stop(): void {
    this.#drain = { start: performance.now(), held: heldMemory(this.parts.libc, this.task.fd) };
  }

  get stopping(): boolean {
    return this.#drain !== undefined;
  }

  /** After {@link stop}: receives a batch. @returns whether there is more */
  drain(): boolean {
    const drain = this.#drain!;
    const passed = performance.now() - drain.start;
    const entries = this.receive(MSG_DONTWAIT, passed > DRAIN_MS);
    if (entries === 0 || passed > 2 * DRAIN_MS || this.failed !== undefined) return false;
    drain.held -= this.parts.receiver.bytes + entries * ENTRY_MEMORY;
    return drain.held > 0;
  }

  /** An ICMP error of an earlier datagram does not end it. */
  #receiveFailed(errno: number): number {
    const { batch } = this.parts;
    batch.count = 0;
    if (errno === ERRNO.EAGAIN) return 0;
    if (++this.#failures === MAX_FAILURES) this.failed = errno;
    return 1;
  }

  #deliver(): void {
    const { batch, ring, receiver } = this.parts;
    for (const sender of this.#senders) sender.send(batch);
    for (const writer of this.#writers) writer.write(batch);
    for (const fanout of this.#fanouts) {
      fanout.write(batch);
      fanout.flush();
    }
    if (!this.task.delivers) return;
    const names = this.task.tellsSenders ? receiver : undefined;
    this.entries += ring.write(batch, this.slot, names);
    if (ring.dropped > 0) this.#counts.dropped += ring.dropped;
  }
}

import { parentPort, workerData } from 'node:worker_threads';
import { Batch } from 'mproxy-framing';
import { BatchReceiver } from './batch-receiver.js';
import { BatchSender } from './batch-sender.js';
import { SharedCounts } from './counts.js';
import { ERRNO, systemError } from './errno.js';
import { ErrorQueue } from './error-queue.js';
import { loadLibc } from './libc.js';
import { ENTRY_MEMORY, heldMemory } from './options.js';
import { Ring } from './ring.js';
import type { ThreadData } from './thread.js';
import { FileWriter } from './writer.js';

/** A route's thread: delivers from its socket directly to its sinks. Blocks in recvmmsg(2) until stopped. */
const {
  inlet: from,
  sockets,
  files,
  ring: shared,
  counts: countsBuffer,
  stop: stopBuffer,
} = workerData as ThreadData;

const MSG_DONTWAIT = 0x40;
/** How long a stopping thread delivers queued datagrams, in milliseconds; the rest is dropped and counted. */
const DRAIN_MS = 300;

const libc = loadLibc();
const stop = new Int32Array(stopBuffer);
const counts = new SharedCounts(countsBuffer);
const ring = shared && new Ring(shared, from.tellsSenders);
const receiver = new BatchReceiver(libc, from.fd, from.ignored, from.allow);
/** Undefined when the event loop needs no senders. */
const names = from.tellsSenders ? receiver.names : undefined;
const senders = sockets.map(({ fd, counts: shared, waits, name }) => {
  const counts = new SharedCounts(shared);
  const queue = new ErrorQueue(libc, fd, (errno) => counts.returned(errno));
  const options = { waits, blocks: !waits, readErrors: () => queue.read(), name: name && Buffer.from(name) };
  return new BatchSender(libc, fd, counts, options);
});
const writers = files.map(
  (file, i) =>
    new FileWriter(libc, file, (piece) =>
      parentPort?.postMessage({ file: i, ...piece }, [piece.bytes.buffer as ArrayBuffer]),
    ),
);
const batch = new Batch();
/** Consecutive receive errors that end the thread. */
const MAX_FAILURES = 100;
let failures = 0;

/**
 * Pause between receives, in milliseconds, to save system calls: for files (SPEC 3: 50 ms) and for MoldUDP64
 * packets, which receivers reorder anyway. The latter is longer, as the event loop must be woken. A relay of
 * plain datagrams does not pause.
 */
const PAUSE_MS = from.tellsSenders ? 1 : 0.1;
/** A batch of this many bytes is worth its system calls; more would not stay in the processor's cache. */
const LARGE = 64 * 1024;
const pauses = from.roomy && sockets.length === 0 && (!ring || from.tellsSenders);

/** Longest wait for a full ring, in milliseconds: the event loop may pause this long to collect garbage. */
const maxWait = sockets.length === 0 && files.length === 0 ? 100 : 0;

while (Atomics.load(stop, 0) === 0) {
  receive();
  if (pauses && batch.count < Batch.capacity / 2 && batch.bytes < LARGE) Atomics.wait(stop, 0, 0, PAUSE_MS);
}
drain();

/** Receives only the datagrams that the socket held at the stop: a flood never ends. */
function drain(): void {
  const start = performance.now();
  let held = heldMemory(libc, from.fd);
  do {
    const passed = performance.now() - start;
    const entries = receive(MSG_DONTWAIT, passed > DRAIN_MS);
    if (entries === 0 || passed > 2 * DRAIN_MS) return;
    held -= receiver.bytes + entries * ENTRY_MEMORY;
  } while (held > 0);
}

/** @returns the number of entries received, 1 for an error; 0 when there were none */
function receive(flags?: number, discard = false): number {
  const result = receiver.receive(batch, flags);
  if (result < 0) {
    // An ICMP error of an earlier datagram does not end the receiver.
    if (result === -ERRNO.EAGAIN) return 0;
    if (++failures === MAX_FAILURES) throw systemError(-result, 'recvmmsg');
    batch.count = 0;
    return 1;
  }
  failures = 0;
  if (receiver.refused > 0) counts.refused += receiver.refused;
  // Ignored datagrams, the command's own, count as received.
  if (batch.count === 0) return result;
  counts.moved(batch.datagrams, batch.bytes);
  if (batch.unterminated) counts.sawUnterminated();
  if (receiver.empty > 0)
    counts.emptied(receiver.empty, receiver.names, receiver.nameOf(receiver.emptyOffset));
  if (discard) counts.dropped += batch.datagrams;
  else deliver();
  return result;
}

function deliver(): void {
  for (const sender of senders) sender.send(batch);
  for (const writer of writers) writer.write(batch);
  if (ring) writeToRing(ring);
}

function writeToRing(ring: Ring): void {
  for (let i = 0; i < batch.count; i++) {
    if (writeEntry(ring, i)) continue;
    const { length, segment } = batch;
    counts.dropped += segment[i] === 0 ? 1 : Math.ceil(length[i]! / segment[i]!);
  }
  if (ring.wakes()) parentPort?.postMessage('more');
}

/** Waits for a full ring if the thread has no other sinks; the kernel's buffer holds datagrams meanwhile. */
function writeEntry(ring: Ring, i: number): boolean {
  const write = () => {
    const { slab, offset, length, segment } = batch;
    if (!names) return ring.write(slab, offset[i]!, length[i]!, segment[i]!);
    return ring.write(slab, offset[i]!, length[i]!, segment[i]!, names, receiver.nameOf(offset[i]!));
  };
  for (let waited = 0; waited < maxWait; waited++) {
    if (write()) return true;
    if (ring.wakes()) parentPort?.postMessage('more');
    if (Atomics.wait(stop, 0, 0, 1) !== 'timed-out') break;
  }
  return write();
}

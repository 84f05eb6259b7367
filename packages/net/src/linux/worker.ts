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

/** A route's own thread: from its socket to its sinks with no hop between. Blocks in recvmmsg(2) until it is stopped. */
const {
  inlet: from,
  sockets,
  files,
  ring: shared,
  counts: countsBuffer,
  stop: stopBuffer,
} = workerData as ThreadData;

const MSG_DONTWAIT = 0x40;
/** The longest that a stopping thread passes on what the kernel holds; what is left then is read and counted. */
const DRAIN_MS = 300;

const libc = loadLibc();
const stop = new Int32Array(stopBuffer);
const counts = new SharedCounts(countsBuffer);
const ring = shared && new Ring(shared, from.tellsSenders);
const receiver = new BatchReceiver(libc, from.fd, from.ignored, from.allow);
/** Given where the event loop is to know who sent what. */
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
/** Errors without a datagram in between after which the socket cannot be read. */
const MOST_FAILURES = 100;
let failures = 0;

/**
 * A file has time (SPEC 3: 50 ms): what comes in during a tenth of a millisecond is taken at once, in fewer system calls.
 * So have packets of MoldUDP64, which receivers put in order anyway; as the event loop must be woken for them, it is a
 * millisecond. A relay of plain datagrams waits for nobody.
 */
const PAUSE_MS = from.tellsSenders ? 1 : 0.1;
/** So many bytes at once are worth their system calls, and more would not stay in the processor's cache. */
const ENOUGH = 64 * 1024;
const pauses = from.roomy && sockets.length === 0 && (!ring || from.tellsSenders);

/** How long a full ring is waited for, ms: the event loop may pause for that long to collect garbage. */
const mostWait = sockets.length === 0 && files.length === 0 ? 100 : 0;

while (Atomics.load(stop, 0) === 0) {
  receive();
  if (pauses && batch.count < Batch.capacity / 2 && batch.bytes < ENOUGH) Atomics.wait(stop, 0, 0, PAUSE_MS);
}
drain();

/** Takes what the socket held when the stop came, and no more: a flood goes on. */
function drain(): void {
  const start = performance.now();
  let held = heldMemory(libc, from.fd);
  do {
    const passed = performance.now() - start;
    const came = receive(MSG_DONTWAIT, passed > DRAIN_MS);
    if (came === 0 || passed > 2 * DRAIN_MS) return;
    held -= receiver.bytes + came * ENTRY_MEMORY;
  } while (held > 0);
}

/** @returns how many entries came, or errors of earlier ones; 0 when nothing did */
function receive(flags?: number, late = false): number {
  const got = receiver.receive(batch, flags);
  if (got < 0) {
    // An error that an earlier datagram brought back is not the receiver's end.
    if (got === -ERRNO.EAGAIN) return 0;
    if (++failures === MOST_FAILURES) throw systemError(-got, 'recvmmsg');
    batch.count = 0;
    return 1;
  }
  failures = 0;
  if (receiver.refused > 0) counts.refused += receiver.refused;
  // What is not delivered, a command's own, is something that came, too.
  if (batch.count === 0) return got;
  counts.moved(batch.datagrams, batch.bytes);
  if (batch.unterminated) counts.sawUnterminated();
  if (receiver.empty > 0)
    counts.emptied(receiver.empty, receiver.names, receiver.nameOf(receiver.emptyOffset));
  if (late) counts.dropped += batch.datagrams;
  else deliver();
  return got;
}

function deliver(): void {
  for (const sender of senders) sender.send(batch);
  for (const writer of writers) writer.write(batch);
  if (ring) toLoop(ring);
}

function toLoop(ring: Ring): void {
  for (let i = 0; i < batch.count; i++) {
    if (writeTo(ring, i)) continue;
    const { length, segment } = batch;
    counts.dropped += segment[i] === 0 ? 1 : Math.ceil(length[i]! / segment[i]!);
  }
  if (ring.wakes()) parentPort?.postMessage('more');
}

/** Where nothing else waits for the thread, a full ring is waited for: the kernel's buffer takes what comes meanwhile. */
function writeTo(ring: Ring, i: number): boolean {
  const write = () => {
    const { slab, offset, length, segment } = batch;
    if (!names) return ring.write(slab, offset[i]!, length[i]!, segment[i]!);
    return ring.write(slab, offset[i]!, length[i]!, segment[i]!, names, receiver.nameOf(offset[i]!));
  };
  for (let waited = 0; waited < mostWait; waited++) {
    if (write()) return true;
    if (ring.wakes()) parentPort?.postMessage('more');
    if (Atomics.wait(stop, 0, 0, 1) !== 'timed-out') break;
  }
  return write();
}

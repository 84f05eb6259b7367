import { parentPort, workerData } from 'node:worker_threads';
import { Batch } from '../batch.js';
import { SharedCounts } from './counts.js';
import { Dispatch } from './dispatch.js';
import { ERRNO, systemError } from './errno.js';
import { Inlet } from './inlet.js';
import { loadLibc } from './libc.js';
import { Ring } from './ring.js';
import type { ThreadData } from './thread.js';
import { FileOutlet } from './writer.js';

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
/** The longest that a stopping thread goes on reading what the kernel holds, when more keeps coming. */
const DRAIN_MS = 500;

const libc = loadLibc();
const stop = new Int32Array(stopBuffer);
const counts = new SharedCounts(countsBuffer);
const ring = shared && new Ring(shared);
const inlet = new Inlet(libc, from.fd, from.ignored);
const dispatches = sockets.map(
  ({ fd, counts, waits, name }) =>
    new Dispatch(libc, fd, new SharedCounts(counts), { waits, name: name && Buffer.from(name) }),
);
const outlets = files.map(
  (file, i) => new FileOutlet(libc, file, (piece) => parentPort?.postMessage({ file: i, ...piece })),
);
const batch = new Batch();
/** Errors without a datagram in between after which the socket cannot be read. */
const MOST_FAILURES = 100;
let failures = 0;

/**
 * A file has time (SPEC 3: 50 ms): what comes in during so many milliseconds is taken at once, in fewer system calls. A
 * relay waits for nobody.
 */
const PAUSE_MS = 0.1;
const pauses = from.roomy && sockets.length === 0 && !ring;

while (Atomics.load(stop, 0) === 0) {
  receive();
  if (pauses && batch.count < Batch.capacity / 2) Atomics.wait(stop, 0, 0, PAUSE_MS);
}
const deadline = performance.now() + DRAIN_MS;
while (performance.now() < deadline && receive(MSG_DONTWAIT)) {}

/** @returns whether something came */
function receive(flags?: number): boolean {
  const got = inlet.receive(batch, flags);
  if (got < 0) {
    // An error that an earlier datagram brought back is not the receiver's end.
    if (got === -ERRNO.EAGAIN) return false;
    if (++failures === MOST_FAILURES) throw systemError(-got, 'recvmmsg');
    return true;
  }
  failures = 0;
  // What is not delivered, a command's own, is something that came, too.
  if (batch.count === 0) return got > 0;
  counts.moved(batch.datagrams, batch.bytes);
  for (const dispatch of dispatches) dispatch.send(batch);
  for (const outlet of outlets) outlet.write(batch);
  if (ring) toLoop(ring);
  return true;
}

function toLoop(ring: Ring): void {
  for (let i = 0; i < batch.count; i++) {
    const { offset, length, segment } = batch;
    if (ring.write(batch.slab, offset[i]!, length[i]!, segment[i]!)) continue;
    counts.dropped += segment[i] === 0 ? 1 : Math.ceil(length[i]! / segment[i]!);
  }
  if (ring.wakes()) parentPort?.postMessage('more');
}

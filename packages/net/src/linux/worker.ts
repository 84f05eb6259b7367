import { readSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Batch } from 'mproxy-framing';
import { BatchReceiver } from './batch-receiver.js';
import { type Command, QUIT, type ReceiverTask, type Report, type ThreadData } from './commands.js';
import { IoVectors } from './io-vectors.js';
import { loadLibc } from './libc.js';
import { Loop } from './loop.js';
import { Ring } from './ring.js';
import { RingWriter } from './ring-writer.js';
import { MSG_DONTWAIT, SocketReader, type ThreadParts } from './socket-reader.js';

/**
 * A receiving thread: delivers from its sockets directly to their sinks. It never enters an event loop: with one
 * socket it blocks in recvmmsg(2), otherwise in epoll_wait(2).
 */
const { ring, posted: postedBuffer, eventfd } = workerData as ThreadData;

const MSG_WAITFORONE = 0x10000;
const port = parentPort!;
const libc = loadLibc();
const posted = new Int32Array(postedBuffer);
const report = (report: Report, transfer?: ArrayBuffer[]) => port.postMessage(report, transfer);
const parts: ThreadParts = {
  libc,
  receiver: new BatchReceiver(libc),
  batch: new Batch(),
  vectors: new IoVectors(libc),
  ring: new RingWriter(new Ring(ring), eventfd !== undefined, posted, () => report({ what: 'more' })),
};
const readers = new Map<number, SocketReader>();
/** Those that deliver what their socket held when they were stopped. */
const stopping = new Set<SocketReader>();
const loop = eventfd === undefined ? undefined : new Loop(libc);
/** Commands obeyed so far, or {@link QUIT}. */
let obeyed = 0;
/** The shortest pause that the sockets received from in this turn allow, in milliseconds. */
let pause = 0;

report({ what: 'ready' });
if (loop && eventfd !== undefined) serveMany(loop, eventfd);
else serveOne();

function serveOne(): void {
  Atomics.wait(posted, 0, 0);
  obeyCommands();
  for (const reader of readers.values()) {
    while (!reader.stopping && readers.size > 0) {
      receive(reader, MSG_WAITFORONE);
      if (reader.pause > 0) wait(reader.pause);
      obeyCommands();
    }
    while (readers.size > 0) drain(reader);
  }
}

function serveMany(loop: Loop, eventfd: number): void {
  const counter = Buffer.alloc(8);
  loop.add(eventfd, () => readSync(eventfd, counter));
  while (obeyed !== QUIT || readers.size > 0) {
    pause = Number.POSITIVE_INFINITY;
    loop.turn(stopping.size > 0 ? 0 : -1);
    obeyCommands();
    for (const reader of stopping) drain(reader);
    if (pause > 0 && pause < Number.POSITIVE_INFINITY && mayPause()) wait(pause);
  }
  loop.close();
}

/** A pause also delays the sockets that nothing was received from in this turn. */
function mayPause(): boolean {
  if (stopping.size > 0) return false;
  for (const { maxPause } of readers.values()) if (maxPause === 0) return false;
  return true;
}

/** Sleeps, unless there are commands. */
function wait(ms: number): void {
  Atomics.wait(posted, 0, obeyed, ms);
}

function receive(reader: SocketReader, flags: number): void {
  reader.receive(flags);
  if (reader.failed !== undefined) end(reader);
  pause = Math.min(pause, reader.pause);
}

function drain(reader: SocketReader): void {
  if (!reader.drain()) end(reader);
}

function obeyCommands(): void {
  const count = Atomics.load(posted, 0);
  if (count === obeyed) return;
  if (count === QUIT) {
    obeyed = QUIT;
    for (const reader of readers.values()) stop(reader);
    return;
  }
  for (; obeyed !== count; obeyed = (obeyed + 1) | 0) obey(receiveMessageOnPort(port)!.message);
}

function obey(command: Command): void {
  const reader = readers.get(command.slot);
  if (command.what === 'add') add(command.slot, command.task);
  // It may have failed meanwhile.
  else if (!reader) return;
  else if (command.what === 'stop') stop(reader);
  else if (command.what === 'release') end(reader);
  else watch(reader, () => loop?.renew(reader.task.fd));
}

function add(slot: number, task: ReceiverTask): void {
  const handOver: ConstructorParameters<typeof SocketReader>[3] = (file, piece) =>
    report({ what: 'handover', slot, file, piece }, [piece.bytes.buffer as ArrayBuffer]);
  const reader = new SocketReader(parts, slot, task, handOver);
  readers.set(slot, reader);
  countWaiting();
  watch(reader, () => loop?.add(task.fd, () => receive(reader, MSG_DONTWAIT)));
}

/** Registers a socket with the loop. A failure ends its receiver alone. */
function watch(reader: SocketReader, register: () => void): void {
  try {
    register();
  } catch (error) {
    const { errno, syscall } = error as NodeJS.ErrnoException;
    if (errno === undefined || syscall === undefined) throw error;
    end(reader, { errno: -errno, call: syscall });
  }
}

function stop(reader: SocketReader): void {
  if (reader.stopping) return;
  loop?.remove(reader.task.fd);
  reader.stop();
  stopping.add(reader);
}

function end(reader: SocketReader, failure = failureOf(reader)): void {
  loop?.remove(reader.task.fd);
  stopping.delete(reader);
  readers.delete(reader.slot);
  countWaiting();
  report({ what: 'ended', slot: reader.slot, entries: reader.entries, ...(failure && { failure }) });
}

function failureOf({ failed }: SocketReader): { errno: number; call: string } | undefined {
  return failed === undefined ? undefined : { errno: failed, call: 'recvmmsg' };
}

/** The ring may be waited for where all sockets need it. */
function countWaiting(): void {
  parts.ring.waits = [...readers.values()].every(({ onlyDelivers }) => onlyDelivers);
}

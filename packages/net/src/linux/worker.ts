import { readSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { BATCH_CAPACITY, Batch } from 'mproxy-framing/batch';
import { BatchReceiver } from './batch-receiver.js';
import {
  type Command,
  EPOLL,
  POSTED,
  QUIT,
  type ReceiverTask,
  type Report,
  SINGLE,
  type ThreadData,
} from './commands.js';
import { IoVectors } from './io-vectors.js';
import { loadLibc } from './libc.js';
import { Loop } from './loop.js';
import { Ring } from './ring.js';
import { RingWriter } from './ring-writer.js';
import { MSG_DONTWAIT, SocketReader, type ThreadParts } from './socket-reader.js';
import type { ThreadFanouts } from './thread-fanouts.js';

/**
 * A receiving thread: delivers from its sockets directly to their sinks. It never enters an event loop: with one
 * socket it blocks in recvmmsg(2), otherwise in epoll_wait(2).
 */
const { ring, control: controlBuffer, eventfd } = workerData as ThreadData;

const MSG_WAITFORONE = 0x10000;
const port = parentPort!;
const libc = loadLibc();
const control = new Int32Array(controlBuffer);
const report = (report: Report, transfer?: ArrayBuffer[]) => port.postMessage(report, transfer);
const receiver = new BatchReceiver(libc);
report({ what: 'ready' });
Atomics.wait(control, POSTED, 0);

/** Undefined for a thread that serves a single receiver. */
const loop = Atomics.load(control, SINGLE) === 1 ? undefined : new Loop(libc);
const ringWriter = new RingWriter(new Ring(ring), loop !== undefined, control, () =>
  report({ what: 'more' }),
);
let vectors: IoVectors | undefined;
/** Opened with the first clients; in a thread with a loop. */
let fanouts: ThreadFanouts | undefined;
/** Loaded when the first clients come: streams and TLS cost a thread without clients nothing. */
let Fanouts: typeof ThreadFanouts | undefined;
/** A command that needs them, and waits until they are loaded. */
let waiting: Command | undefined;
const single = loop === undefined;
const parts: ThreadParts = {
  libc,
  receiver,
  batch: new Batch(),
  ring: ringWriter,
  vectors: () => {
    vectors ??= new IoVectors(libc);
    return vectors;
  },
  openFanout: (task) => {
    fanouts ??= new Fanouts!(libc, loop!, (number, event) => report({ what: 'clients', number, event }));
    return fanouts.open(task);
  },
  single,
};
const readers = new Map<number, SocketReader>();
/** Those that deliver what their socket held when they were stopped. */
const stopping = new Set<SocketReader>();
/** Those with datagrams that wait for room in the buffer of a destination. */
const backlogged = new Set<SocketReader>();
/** How soon these are sent again, in milliseconds. */
const RETRY_MS = 1;
/** Batches that a socket receives in a turn, at most, beside clients: the TLS handshakes of a turn may take as long as these. */
const MAX_BATCHES = 32;
/** Readers whose data must not be delayed, and those with sinks that do not read the ring. */
let urgent = 0;
let direct = 0;
/** Commands obeyed so far, or {@link QUIT}. */
let obeyed = 0;
/** The shortest pause that the sockets received from in this turn allow, in milliseconds. */
let pause = 0;

if (loop) void serveMany(loop);
else serveOne();

function serveOne(): void {
  obeyCommands();
  for (const reader of readers.values()) {
    while (!reader.stopping && reader.failed === undefined) {
      reader.receive(MSG_WAITFORONE);
      if (reader.maxPause > 0 && reader.pause > 0) wait(reader.pause);
      if (Atomics.load(control, POSTED) !== obeyed) obeyCommands();
    }
    if (reader.failed !== undefined) end(reader);
    while (readers.size > 0) drain(reader);
  }
}

async function serveMany(loop: Loop): Promise<void> {
  const counter = Buffer.alloc(8);
  Atomics.store(control, EPOLL, loop.epoll);
  loop.add(eventfd, () => readSync(eventfd, counter));
  while (obeyed !== QUIT || readers.size > 0) {
    pause = Number.POSITIVE_INFINITY;
    loop.turn(stopping.size > 0 ? 0 : backlogged.size > 0 ? RETRY_MS : -1);
    obeyCommands();
    if (waiting) {
      ({ ThreadFanouts: Fanouts } = await import('./thread-fanouts.js'));
      obeyCommands();
    }
    retryBacklogged();
    for (const reader of stopping) drain(reader);
    // A pause also delays the sockets that nothing was received from in this turn.
    const pauses = urgent === 0 && stopping.size === 0 && pause < Number.POSITIVE_INFINITY;
    if (pauses && pause > 0) wait(pause);
  }
  fanouts?.abort();
  Atomics.store(control, EPOLL, 0);
  loop.close();
}

function retryBacklogged(): void {
  for (const reader of backlogged) {
    reader.retry();
    if (!reader.backlogged) backlogged.delete(reader);
  }
}

/** Sleeps, unless there are commands. */
function wait(ms: number): void {
  Atomics.wait(control, POSTED, obeyed, ms);
}

function receive(reader: SocketReader, flags: number): void {
  for (let left = fanouts ? MAX_BATCHES : 1; left > 0 && reader.failed === undefined; left--)
    if (reader.receive(flags) < BATCH_CAPACITY) break;
  if (reader.failed !== undefined) end(reader);
  pause = Math.min(pause, reader.pause);
  if (!single && reader.backlogged) backlogged.add(reader);
}

function drain(reader: SocketReader): void {
  if (!reader.drain()) end(reader);
}

function obeyCommands(): void {
  const count = Atomics.load(control, POSTED);
  if (count === obeyed) return;
  if (count === QUIT) {
    obeyed = QUIT;
    for (const reader of readers.values()) stop(reader);
    return;
  }
  for (; obeyed !== count; obeyed = (obeyed + 1) | 0) {
    const command: Command = waiting ?? receiveMessageOnPort(port)!.message;
    waiting = !Fanouts && command.what === 'add' && command.task.clients.length > 0 ? command : undefined;
    if (waiting) return;
    obey(command);
  }
}

function obey(command: Command): void {
  if (command.what === 'clients') {
    fanouts!.obey(command.number, command.order);
    return;
  }
  const reader = readers.get(command.slot);
  if (command.what === 'add') add(command.slot, command.task);
  // It may have failed meanwhile.
  else if (!reader) return;
  else if (command.what === 'stop') stop(reader);
  else if (command.what === 'release') end(reader);
  else if (command.what === 'begin') begin(reader);
  else watch(reader, () => loop?.renew(reader.task.fd));
}

function add(slot: number, task: ReceiverTask): void {
  const handOver: ConstructorParameters<typeof SocketReader>[3] = (file, piece) =>
    report({ what: 'handover', slot, file, piece }, [piece.bytes.buffer as ArrayBuffer]);
  const reader = new SocketReader(parts, slot, task, handOver);
  readers.set(slot, reader);
  count(reader, 1);
  if (task.clients.length === 0) begin(reader);
}

function begin(reader: SocketReader): void {
  if (!reader.stopping) watch(reader, () => loop?.add(reader.task.fd, () => receive(reader, MSG_DONTWAIT)));
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
  reader.finish();
  backlogged.delete(reader);
  stopping.delete(reader);
  readers.delete(reader.slot);
  count(reader, -1);
  report({ what: 'ended', slot: reader.slot, entries: reader.entries, ...(failure && { failure }) });
}

function failureOf({ failed }: SocketReader): { errno: number; call: string } | undefined {
  return failed === undefined ? undefined : { errno: failed, call: 'recvmmsg' };
}

function count({ maxPause, onlyDelivers }: SocketReader, more: 1 | -1): void {
  if (maxPause === 0) urgent += more;
  if (!onlyDelivers) direct += more;
  ringWriter.waits = direct === 0;
}

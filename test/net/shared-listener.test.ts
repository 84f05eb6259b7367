import { once } from 'node:events';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { chooseEngine, type SharedSocket, ThreadDescriptors, ThreadLoads } from 'mproxy-net';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import type { Order, Task } from './shared-worker.js';

const skip = process.platform !== 'linux' && 'Node cannot share a listener between threads';
const WORKERS = 4;

/** Threads that accept from one socket. */
class Threads {
  readonly descriptors = new ThreadDescriptors();
  readonly loads = new Int32Array(new SharedArrayBuffer(4 * WORKERS)).fill(-1);
  readonly workers = new Map<number, Worker>();

  constructor(readonly socket: SharedSocket) {}

  async start(number: number): Promise<void> {
    const workerData: Task = {
      ...{ number, fd: this.socket.fd },
      ...{ descriptors: this.descriptors.memory, loads: this.loads },
    };
    const worker = new Worker(new URL('./shared-worker.js', import.meta.url), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: 32 },
    });
    this.workers.set(number, worker);
    await once(worker, 'message');
  }

  order(number: number, order: Order): void {
    this.workers.get(number)!.postMessage(order);
  }

  /** Resolves with the error that ended it, at its end. */
  async end(number: number, how: Order): Promise<NodeJS.ErrnoException | undefined> {
    const worker = this.workers.get(number)!;
    let error: NodeJS.ErrnoException | undefined;
    worker.on('error', (one) => {
      error = one;
    });
    const exit = new Promise((resolve) => worker.on('exit', resolve));
    this.order(number, how);
    if (how === 'block') await worker.terminate();
    await exit;
    new ThreadLoads(this.loads, 0).end(number - 1);
    return error;
  }
}

/** The test's threads, which end with it. */
async function open(t: Test, count = WORKERS): Promise<Threads> {
  const { streams } = chooseEngine('linux').engine;
  const socket = streams.share!({ at: { address: '127.0.0.1', port: 0 }, backlog: 4096 });
  const threads = new Threads(socket);
  t.teardown(async () => {
    for (const [number, worker] of threads.workers) {
      await worker.terminate();
      threads.descriptors.close(number);
    }
    socket.close();
  });
  for (let number = 1; number <= count; number++) await threads.start(number);
  return threads;
}

/** A client, and the thread that serves it. */
interface Client {
  socket: Socket;
  thread: number;
  /** It ended, or failed. */
  closed: boolean;
}

async function client(t: Test, { socket: { local } }: Threads): Promise<Client> {
  const socket = connect(local!.port, '127.0.0.1');
  const made: Client = { socket, thread: 0, closed: false };
  socket.on('error', () => undefined);
  socket.on('close', () => {
    made.closed = true;
  });
  t.teardown(() => socket.destroy());
  const [number] = await once(socket, 'data');
  made.thread = Number(number);
  return made;
}

const clients = (t: Test, threads: Threads, count: number) =>
  Promise.all(Array.from({ length: count }, () => client(t, threads)));

async function echoes({ socket }: Client): Promise<boolean> {
  socket.write('ping');
  const [answer] = await once(socket, 'data');
  return String(answer) === 'ping';
}

const openDescriptors = () => readdirSync('/proc/self/fd').length;

t.test('clients are spread over the threads that share a listener', { skip }, async (t) => {
  const threads = await open(t);
  const all = await clients(t, threads, 400);
  const counts = [1, 2, 3, 4].map((number) => all.filter(({ thread }) => thread === number).length);
  t.comment(`connections of each thread: ${counts}`);
  t.ok(Math.min(...counts) >= 60, 'none is left out');
  // A listener has an epoll descriptor beside its connections; the shared one is not its own.
  t.strictSame(
    [1, 2, 3, 4].map((number) => threads.descriptors.count(number)),
    counts.map((count) => count + 1),
  );
});

for (const how of ['throw', 'fill the heap', 'block'] as const) {
  t.test(`a thread that ends (${how}) takes its connections along, and no other`, { skip }, async (t) => {
    const threads = await open(t);
    const before = openDescriptors() - threads.descriptors.count(2);
    const all = await clients(t, threads, 80);
    const [its, others] = [true, false].map((own) => all.filter(({ thread }) => (thread === 2) === own));
    const error = await threads.end(2, how);
    if (how === 'throw') t.match(error, { message: 'as ordered' });
    if (how === 'fill the heap') t.match(error, { code: 'ERR_WORKER_OUT_OF_MEMORY' });
    t.notOk(
      its!.some(({ closed }) => closed),
      'Node closes none of them',
    );
    const left = threads.descriptors.count(2);
    t.equal(left, its!.length + 1, 'its connections and its epoll descriptor');
    t.equal(threads.descriptors.close(2), left);
    await until('its clients are closed', () => its!.every(({ closed }) => closed));
    t.notOk(others!.some(({ closed }) => closed));
    t.ok((await Promise.all(others!.map(echoes))).every(Boolean), 'the others go on');
    // Numbers that are free again are not closed again, whoever has them.
    const files = its!.map(() => openSync('/dev/null', 'r'));
    t.equal(threads.descriptors.close(2), 0);
    for (const fd of files) closeSync(fd);
    for (const { socket } of all) socket.destroy();
    await until('no descriptor is left', () => openDescriptors() <= before - 1);

    await threads.start(2);
    // The kernel wakes whichever threads it likes: the more connections the others have, the likelier its successor.
    await until('its successor accepts', async () =>
      (await clients(t, threads, 20)).some(({ thread }) => thread === 2),
    );
  });
}

t.test('connections that wait are accepted before the end, and none is reset', { skip }, async (t) => {
  const threads = await open(t, 1);
  threads.order(1, 'sleep');
  const waiting = clients(t, threads, 50);
  // The kernel connects them while the thread sleeps.
  await new Promise((resolve) => setImmediate(resolve));
  threads.socket.refuse();
  threads.order(1, 'stop');
  await once(threads.workers.get(1)!, 'message');
  threads.socket.close();
  const refused = connect(threads.socket.local!.port, '127.0.0.1');
  const [error] = await once(refused, 'error');
  t.match(error, { code: 'ECONNREFUSED' });
  const accepted = await waiting;
  t.equal(accepted.length, 50);
  t.ok((await Promise.all(accepted.map(echoes))).every(Boolean));
});

t.test('the node engine says that it cannot share', async (t) => {
  const { streams } = chooseEngine('node').engine;
  t.equal(streams.share, undefined);
  await t.rejects(
    streams.listen({
      at: { fd: 0, shared: new ThreadLoads(new Int32Array(1), 0) },
      onConnection: () => undefined,
    }),
    /cannot share its descriptor/,
  );
});

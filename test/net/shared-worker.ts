import { parentPort, workerData } from 'node:worker_threads';
import { type Connection, chooseEngine, ThreadDescriptors, ThreadLoads } from 'mproxy-net';

/** A worker that accepts from a shared descriptor, tells each client its number, and echoes. */
export interface Task {
  number: number;
  fd: number;
  descriptors: SharedArrayBuffer;
  loads: Int32Array;
}

/** How it ends, or what it does. `sleep`: for half a second. `stop`: accepts what waits, and no more. */
export type Order = 'throw' | 'fill the heap' | 'block' | 'sleep' | 'stop';

const { number, fd, descriptors, loads } = workerData as Task;
new ThreadDescriptors(descriptors).note(number);
const { streams } = chooseEngine('linux').engine;

const shared = new ThreadLoads(loads, number - 1);
shared.begin();
const listener = await streams.listen({ at: { fd, shared }, onConnection: serve });

function serve(connection: Connection): void {
  connection.start({
    onData: (bytes) => connection.write([Buffer.from(bytes)]),
    onEnd: () => connection.end(),
    onClose: () => undefined,
  });
  connection.write([Buffer.from(`${number}`)]);
}

parentPort!.on('message', (order: Order) => {
  if (order === 'throw') throw new Error('as ordered');
  if (order === 'stop') {
    listener.close('accept');
    parentPort!.postMessage('stopped');
  }
  if (order === 'sleep') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  if (order === 'block') for (;;);
  const kept: number[][] = [];
  while (order === 'fill the heap') kept.push(new Array(10_000).fill(kept.length));
});
parentPort!.postMessage('ready');

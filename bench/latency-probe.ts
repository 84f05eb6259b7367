import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { loadKoffi } from 'mproxy-net/linux/installed';

/**
 * latency-probe URL SECONDS [ENGINE PORT TO]: how late Node's own work is in a worker, in which the proxy of stream-proxy.ts runs, too, if
 * it is given. Tells of each kind of work the milliseconds that its samples took, and how much of that the thread itself was busy: only
 * the latter does not depend on what else the machine does.
 */

/** JavaScript is compiled meanwhile, in seconds. */
const WARM_UP = 2;
/** The load ends before the program does, in seconds. */
const REST = 2;
const PAUSE_MS = 2;
const KINDS = ['fetch', 'setTimeout', 'setInterval', 'postMessage'] as const;
type Kind = (typeof KINDS)[number];

/** By `process.hrtime`, in nanoseconds: the same in all threads. */
type Time = bigint;

interface Task {
  url: string;
  seconds: number;
  proxied: boolean;
}

async function observe(): Promise<void> {
  const [url, seconds, ...proxy] = process.argv.slice(2);
  const workerData: Task = { url: url!, seconds: Number(seconds), proxied: proxy.length > 0 };
  const worker = new Worker(new URL(import.meta.url), { argv: proxy, workerData });
  const timer = setInterval(() => worker.postMessage(process.hrtime.bigint()), PAUSE_MS);
  worker.on('message', (result: object) => {
    clearInterval(timer);
    console.log(JSON.stringify(result));
    process.exit();
  });
}

async function probe({ url, seconds, proxied }: Task): Promise<void> {
  if (proxied) await import('./stream-proxy.js');
  const samples = new Samples();
  parentPort!.on('message', (sent: Time) => samples.add('postMessage', samples.at(sent), 0));
  timeouts(samples);
  intervals(samples);
  void fetches(samples, url);
  setTimeout(() => samples.take(true), WARM_UP * 1000);
  setTimeout(() => samples.take(false), (WARM_UP + seconds) * 1000);
  setTimeout(() => parentPort!.postMessage(samples.result()), (WARM_UP + seconds + REST) * 1000);
}

function timeouts(samples: Samples): void {
  const since = samples.now();
  setTimeout(() => {
    samples.add('setTimeout', since, PAUSE_MS);
    timeouts(samples);
  }, PAUSE_MS);
}

function intervals(samples: Samples): void {
  let since = samples.now();
  setInterval(() => {
    samples.add('setInterval', since, PAUSE_MS);
    since = samples.now();
  }, PAUSE_MS);
}

async function fetches(samples: Samples, url: string): Promise<void> {
  for (;;) {
    const since = samples.now();
    await (await fetch(url)).text();
    samples.add('fetch', since, 0);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** A time, and the milliseconds of CPU that the thread had used then. */
interface Moment {
  time: Time;
  cpu: number;
}

class Samples {
  #takes = false;
  readonly #cpu = threadClock();
  /** The last ones. */
  #moments: Moment[] = [];
  readonly #taken = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));
  readonly #busy = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));

  take(takes: boolean): void {
    this.#takes = takes;
  }

  now(): Moment {
    const moment = { time: process.hrtime.bigint(), cpu: this.#cpu() };
    this.#moments.push(moment);
    if (this.#moments.length > 4000) this.#moments = this.#moments.slice(-2000);
    return moment;
  }

  /** A time by another thread. The CPU that was used is that of the last moment before: not more than it was. */
  at(time: Time): Moment {
    const { cpu } = this.#moments.findLast((one) => one.time <= time) ?? this.now();
    return { time, cpu };
  }

  /** @param wanted milliseconds that it was to take */
  add(kind: Kind, since: Moment, wanted: number): void {
    const { time, cpu } = this.now();
    const taken = Math.max(0, Number(time - since.time) / 1e6 - wanted);
    if (!this.#takes) return;
    this.#taken.get(kind)!.push(taken);
    this.#busy.get(kind)!.push(Math.min(taken, cpu - since.cpu));
  }

  /** `fetch p99`, `fetch busy max`, `fetch count`, ... */
  result(): Record<string, number> {
    return Object.fromEntries(
      KINDS.flatMap((kind) => [
        [`${kind} count`, this.#taken.get(kind)!.length],
        ...summary(kind, this.#taken.get(kind)!),
        ...summary(`${kind} busy`, this.#busy.get(kind)!),
      ]),
    );
  }
}

function summary(name: string, samples: number[]): [string, number][] {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
  return [
    [`${name} p50`, at(0.5)],
    [`${name} p99`, at(0.99)],
    [`${name} max`, at(1)],
    [`${name} late`, samples.filter((ms) => ms > 5).length],
  ];
}

/** Milliseconds of CPU that this thread has used (clock_gettime(2)). */
function threadClock(): () => number {
  const CLOCK_THREAD_CPUTIME_ID = 3;
  const time = new BigInt64Array(2);
  const bytes = Buffer.from(time.buffer);
  const read = loadKoffi().load(null).func('int clock_gettime(int, _Out_ void *)') as (
    clock: number,
    time: Buffer,
  ) => number;
  return () => {
    if (read(CLOCK_THREAD_CPUTIME_ID, bytes) !== 0) throw new Error('clock_gettime failed');
    return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
  };
}

if (isMainThread) await observe();
else await probe(workerData as Task);

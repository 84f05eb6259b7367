import { openSync, readSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/**
 * latency-probe URL SECONDS [ENGINE PORT TO]: how late Node's own work is in a worker, in which the proxy of stream-proxy.ts runs, too, if
 * it is given. Tells of each kind of work the milliseconds of its samples: how long they took, and how long without the time in
 * which the thread was ready and had no processor (/proc/PID/schedstat), which is not its own fault.
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
  parentPort!.on('message', (sent: Time) => samples.add('postMessage', sent, 0));
  timeouts(samples);
  intervals(samples);
  void fetches(samples, url);
  setTimeout(() => samples.take(true), WARM_UP * 1000);
  setTimeout(() => samples.take(false), (WARM_UP + seconds) * 1000);
  setTimeout(() => parentPort!.postMessage(samples.result()), (WARM_UP + seconds + REST) * 1000);
}

function timeouts(samples: Samples): void {
  const since = process.hrtime.bigint();
  setTimeout(() => {
    samples.add('setTimeout', since, PAUSE_MS);
    timeouts(samples);
  }, PAUSE_MS);
}

function intervals(samples: Samples): void {
  let since = process.hrtime.bigint();
  setInterval(() => {
    samples.add('setInterval', since, PAUSE_MS);
    since = process.hrtime.bigint();
  }, PAUSE_MS);
}

async function fetches(samples: Samples, url: string): Promise<void> {
  for (;;) {
    const since = process.hrtime.bigint();
    await (await fetch(url)).text();
    samples.add('fetch', since, 0);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

class Samples {
  #takes = false;
  readonly #delays = new RunDelays();
  readonly #taken = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));
  readonly #own = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));

  take(takes: boolean): void {
    this.#takes = takes;
  }

  /** @param wanted milliseconds that it was to take */
  add(kind: Kind, since: Time, wanted: number): void {
    const now = process.hrtime.bigint();
    const taken = Math.max(0, Number(now - since) / 1e6 - wanted);
    const delay = this.#delays.since(since, now);
    if (!this.#takes) return;
    this.#taken.get(kind)!.push(taken);
    this.#own.get(kind)!.push(Math.max(0, taken - delay));
  }

  /** `fetch p99`, `fetch own max`, `fetch count`, ... */
  result(): Record<string, number> {
    return Object.fromEntries(
      KINDS.flatMap((kind) => [
        [`${kind} count`, this.#taken.get(kind)!.length],
        ...summary(kind, this.#taken.get(kind)!),
        ...summary(`${kind} own`, this.#own.get(kind)!),
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

/** How long this thread waited for a processor. */
class RunDelays {
  readonly #file = openSync('/proc/thread-self/schedstat', 'r');
  readonly #bytes = Buffer.alloc(64);
  /** Of the last second: when it was read, and the nanoseconds until then. */
  #read: { at: Time; delay: number }[] = [];

  /** @returns milliseconds, at most: a delay that began before counts in full */
  since(begin: Time, now: Time): number {
    const length = readSync(this.#file, this.#bytes, 0, this.#bytes.length, 0);
    const delay = Number(this.#bytes.toString('latin1', 0, length).split(' ')[1]);
    this.#read.push({ at: now, delay });
    if (this.#read.length > 4000) this.#read = this.#read.slice(-2000);
    const before = this.#read.findLast(({ at }) => at <= begin) ?? this.#read[0]!;
    return (delay - before.delay) / 1e6;
  }
}

if (isMainThread) await observe();
else await probe(workerData as Task);

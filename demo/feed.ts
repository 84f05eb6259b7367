import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { addAbortSignal, Readable } from 'node:stream';
import { showBytes } from 'mproxy-base';
import { fleetFeed } from './ais.js';

/** The input of the chain. */
export interface Feed {
  title: string;
  /** Bytes, if known. */
  size: number | undefined;
  /** Bits per second. */
  rate: number;
  stream: Readable;
}

/** Intended and maximum duration of sending. */
const SECONDS = 8;
const MAX_SECONDS = 10;
/**
 * Bits per second. UDP has no flow control: unread datagrams must fit into the receive buffer, by default 208
 * KiB. At the maximum rate a program may pause for at least 50 ms.
 */
const MAX_RATE = 12_000_000;
const MIN_RATE = 400_000;
const MAX_BYTES = (MAX_RATE / 8) * MAX_SECONDS;

const SHIPS = 200;
const REPORTS = 20_000;

/** @param path a file, `-` for stdin, or undefined for a generated feed */
export async function openFeed(path: string | undefined): Promise<Feed> {
  if (path === undefined) return fleet();
  return path === '-' ? stdin() : file(path);
}

function fleet(): Feed {
  const data = fleetFeed(SHIPS, REPORTS);
  const title = `${REPORTS.toLocaleString('en')} AIS position reports of ${SHIPS} ships`;
  return { title, size: data.length, rate: rateFor(data.length), stream: Readable.from([data]) };
}

async function file(path: string): Promise<Feed> {
  const found = await stat(path);
  if (!found.isFile()) throw new Error(`not a regular file: ${path}; pipe it in, with --path -`);
  const size = Math.min(found.size, MAX_BYTES);
  const title = found.size > MAX_BYTES ? `the first ${showBytes(MAX_BYTES)} of ${path}` : path;
  // Read no more than this size even if the file grows: the screen shows it as the total.
  const stream = size === 0 ? Readable.from([]) : createReadStream(path, { end: size - 1 });
  return { title, size, rate: rateFor(size), stream };
}

function stdin(): Feed {
  const title = `stdin, until its end, at most ${MAX_SECONDS} s or ${showBytes(MAX_BYTES)}`;
  return { title, size: undefined, rate: MAX_RATE, stream: Readable.from(readStdin()) };
}

async function* readStdin(): AsyncGenerator<Buffer> {
  const signal = AbortSignal.timeout(MAX_SECONDS * 1000);
  let left = MAX_BYTES;
  try {
    for await (const chunk of addAbortSignal(signal, process.stdin) as AsyncIterable<Buffer>) {
      yield chunk.subarray(0, left);
      left -= Math.min(chunk.length, left);
      if (left === 0) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** The rate that sends `size` bytes in about the intended time. */
function rateFor(size: number): number {
  return Math.round(Math.min(MAX_RATE, Math.max(MIN_RATE, (size * 8) / SECONDS)));
}

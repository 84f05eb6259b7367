import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { addAbortSignal, Readable } from 'node:stream';
import { showBytes } from 'mproxy-base';
import { fleetFeed } from './ais.js';

/** What is sent through the chain. */
export interface Feed {
  /** What it is, for a person. */
  title: string;
  /** Bytes, where that is known. */
  size: number | undefined;
  /** Bits a second. */
  rate: number;
  /** Ends by itself. */
  stream: Readable;
}

/** How long sending should take, and the most that it may. */
const SECONDS = 8;
const LONGEST = 10;
/**
 * Nothing holds a datagram back once it is sent: what a program does not read at once must fit into its receive
 * buffer, 208 KiB where nobody raised it. At this pace a program may be late by a twentieth of a second or more.
 */
const FASTEST = 12_000_000;
const SLOWEST = 400_000;
const MOST = (FASTEST / 8) * LONGEST;

const SHIPS = 200;
const REPORTS = 20_000;

/**
 * Opens what the user asked for.
 * @param path a file, `-` for stdin, or undefined for the feed of a fleet
 */
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
  const size = Math.min(found.size, MOST);
  const title = found.size > MOST ? `the first ${showBytes(MOST)} of ${path}` : path;
  // Not one byte more, even when the file grows: the sizes on the screen are of what was there.
  const stream = size === 0 ? Readable.from([]) : createReadStream(path, { end: size - 1 });
  return { title, size, rate: rateFor(size), stream };
}

function stdin(): Feed {
  const title = `stdin, until its end, at most ${LONGEST} s or ${showBytes(MOST)}`;
  return { title, size: undefined, rate: FASTEST, stream: Readable.from(readStdin()) };
}

async function* readStdin(): AsyncGenerator<Buffer> {
  const signal = AbortSignal.timeout(LONGEST * 1000);
  let left = MOST;
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

/** The pace at which so many bytes take about the time that they should. */
function rateFor(size: number): number {
  return Math.round(Math.min(FASTEST, Math.max(SLOWEST, (size * 8) / SECONDS)));
}

import { parseDuration, parseInteger, parseSize, usage } from 'mproxy-base';
import { Gzip } from './gzip.js';

/** A rotated file is renamed to `FILE.YYYYMMDD-HHMMSS.mmm` (local time), and a new one is created. */
export interface RotationOptions {
  /** Rotate before a file would exceed this size, such as `100MiB`; at least 64 KiB. */
  rotateSize?: number | string;
  /** Rotate when local time is a multiple of this, such as `1h`; at least 1 second. */
  rotateEvery?: number | string;
  /** Number of rotated files to keep of each file; default all. */
  keep?: number | string;
  /** Compress rotated files to `FILE.YYYYMMDD-HHMMSS.mmm.gz`. */
  gzip?: boolean;
}

export interface Rotation {
  /** Bytes; 0: no limit. */
  size: number;
  /** Milliseconds; 0: never. */
  every: number;
  keep: number;
  gzip: Gzip | undefined;
}

/** The largest datagram with its newline fits. */
const MIN_SIZE = 64 * 1024;
const MIN_PERIOD = 1000;

/** @returns undefined without rotation @throws MPROXY_USAGE */
export function readRotation(options: RotationOptions): Rotation | undefined {
  const { rotateSize, rotateEvery, keep, gzip = false } = options;
  if (rotateSize === undefined && rotateEvery === undefined) {
    const unused = keep !== undefined ? '--keep' : gzip ? '--gzip' : undefined;
    if (unused) throw usage(unused, 'given', 'nothing is rotated', 'give --rotate-size or --rotate-every');
    return undefined;
  }
  const size = rotateSize === undefined ? 0 : parseSize('--rotate-size', rotateSize);
  if (rotateSize !== undefined && size < MIN_SIZE)
    throw usage('--rotate-size', String(rotateSize), 'less than 64KiB');
  const every = rotateEvery === undefined ? 0 : parseDuration('--rotate-every', rotateEvery);
  if (rotateEvery !== undefined && every < MIN_PERIOD)
    throw usage('--rotate-every', String(rotateEvery), 'less than 1s');
  return {
    size,
    every,
    keep:
      keep === undefined
        ? Number.POSITIVE_INFINITY
        : parseInteger('--keep', keep, 1, Number.MAX_SAFE_INTEGER),
    gzip: gzip ? new Gzip() : undefined,
  };
}

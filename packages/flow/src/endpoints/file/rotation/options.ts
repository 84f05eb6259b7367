import { parseDuration, parseInteger, parseSize, usage } from 'mproxy-base';
import { Gzip } from './gzip.js';

/** How files are rotated: renamed to `FILE.YYYYMMDD-HHMMSS.mmm`, local time, and begun anew. */
export interface RotationOptions {
  /** A file is rotated before it would be larger than this, as `100MiB`; at least 64 KiB. */
  rotateSize?: number | string;
  /** A file is rotated when the local clock shows a multiple of this, as `1h`; at least 1 second. */
  rotateEvery?: number | string;
  /** How many rotated files of each are kept; default all. */
  keep?: number | string;
  /** Rotated files are compressed, to `FILE.YYYYMMDD-HHMMSS.mmm.gz`. */
  gzip?: boolean;
}

export interface Rotation {
  /** Bytes; 0: of any size. */
  size: number;
  /** Milliseconds; 0: at no time. */
  every: number;
  keep: number;
  gzip: Gzip | undefined;
}

/** The largest datagram with its newline fits. */
const LEAST_SIZE = 64 * 1024;
const LEAST_PERIOD = 1000;

/** @returns undefined when nothing is to be rotated @throws MPROXY_USAGE */
export function readRotation(options: RotationOptions): Rotation | undefined {
  const { rotateSize, rotateEvery, keep, gzip = false } = options;
  if (rotateSize === undefined && rotateEvery === undefined) {
    const idle = keep !== undefined ? '--keep' : gzip ? '--gzip' : undefined;
    if (idle) throw usage(idle, 'given', 'nothing is rotated', 'give --rotate-size or --rotate-every');
    return undefined;
  }
  const size = rotateSize === undefined ? 0 : parseSize('--rotate-size', rotateSize);
  if (rotateSize !== undefined && size < LEAST_SIZE)
    throw usage('--rotate-size', String(rotateSize), 'less than 64KiB');
  const every = rotateEvery === undefined ? 0 : parseDuration('--rotate-every', rotateEvery);
  if (rotateEvery !== undefined && every < LEAST_PERIOD)
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

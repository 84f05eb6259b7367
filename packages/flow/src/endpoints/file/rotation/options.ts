import type { ValuesOf } from 'mproxy-base';
import type { ROTATION } from '../flags.js';
import { Gzip } from './gzip.js';

export interface Rotation {
  /** Bytes; 0: no limit. */
  size: number;
  /** Milliseconds; 0: never. */
  every: number;
  keep: number;
  gzip: Gzip | undefined;
}

/** @returns undefined without rotation */
export function readRotation(values: ValuesOf<{ rotation: typeof ROTATION }>): Rotation | undefined {
  const { rotateSize, rotateEvery, keep = Number.POSITIVE_INFINITY, gzip } = values;
  if (rotateSize === undefined && rotateEvery === undefined) return undefined;
  return { size: rotateSize ?? 0, every: rotateEvery ?? 0, keep, gzip: gzip ? new Gzip() : undefined };
}

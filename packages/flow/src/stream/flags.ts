import { duration, flagNames, integer, usage } from 'mproxy-base';
import { MAX_DATAGRAM } from 'mproxy-framing/cutter';

/** The size of datagrams that are made of a stream, or of packets. */
export const PAYLOAD = {
  payload: integer(1, MAX_DATAGRAM, {
    value: 'BYTES',
    help: 'maximum UDP payload in bytes; default what fits the MTU, at most 8096',
  }),
};

/** Of streams that are split into datagrams. */
export const FLUSH_AFTER = {
  flushAfter: duration({
    help: 'send an unfinished line or raw piece this long after its first byte; default raw 50ms, lines never',
  }),
};

/** Flags of what makes datagrams of a stream. */
export const STREAM = { ...PAYLOAD, ...FLUSH_AFTER };

export const NO_STREAM = ['no stream is split into datagrams'] as const;

export const STREAM_NAMES = flagNames({ STREAM });

/** @param frames those of all streams in the command @throws MPROXY_USAGE */
export function checkFlushAfter(flushAfter: number | string | undefined, frames: string[]): void {
  if (flushAfter === undefined || frames.length === 0 || frames.some((frame) => frame !== 'octet-counted'))
    return;
  throw usage(STREAM_NAMES.flushAfter, `${flushAfter}`, 'octet-counted messages are never sent unfinished');
}

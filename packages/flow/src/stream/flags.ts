import { duration, flagNames, integer, usage } from 'mproxy-base';
import { MAX_DATAGRAM } from 'mproxy-framing/cutter';

/** Flags of what makes datagrams of a stream. */
export const STREAM = {
  payload: integer(1, MAX_DATAGRAM, {
    value: 'BYTES',
    help: 'maximum UDP payload in bytes; default what fits the MTU, at most 8096',
  }),
  flushAfter: duration({
    help: 'send an unfinished line or raw piece this long after its first byte; default raw 50ms, lines never',
  }),
};

export const STREAM_NAMES = flagNames({ STREAM });

/** @param frames those of all streams in the command @throws MPROXY_USAGE */
export function checkFlushAfter(flushAfter: number | undefined, frames: string[]): void {
  if (flushAfter === undefined || frames.length === 0 || frames.some((frame) => frame !== 'octet-counted'))
    return;
  throw usage(STREAM_NAMES.flushAfter, `${flushAfter}`, 'octet-counted messages are never sent unfinished');
}

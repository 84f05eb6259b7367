import { reason, showCount } from 'mproxy-base';
import { MOLD_FLAG_NAMES } from './endpoints/mold/flags.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

/** Limit on addresses listed in a report. */
const MAX_PEERS = 4;

/** How much was lost in all, and the text of its report. */
export interface Losses {
  /** Grows with every loss. */
  total: number;
  text: string;
}

/** All losses of these sources and sinks since they were opened. */
export function losses(sources: Iterable<Source>, sinks: Iterable<Sink>): Losses {
  const parts: string[] = [];
  let total = 0;
  const lost = (count: number, text: string) => {
    if (count > 0) parts.push(text);
    total += count;
  };
  for (const { name, counts, advice, lost: lostMessages = '' } of sources) {
    const {
      kernelDropped = 0,
      dropped: overrun,
      brokenLines,
      discarded,
      mold,
      refused,
      connections,
    } = counts;
    const dropped = `${name}: the kernel dropped ${showCount(kernelDropped, 'datagram')}: its receive buffer was full`;
    const overrunText = `${name}: dropped ${showCount(overrun, 'datagram')}: this program did not keep up`;
    // The listener of a TCP source reports its refused connections.
    if (!connections)
      lost(refused, `${name}: dropped ${showCount(refused, 'datagram')}: --allow does not name their sender`);
    // Missing messages of a session are requested again.
    if (!mold) {
      lost(kernelDropped, advice ? `${dropped}; ${advice}` : dropped);
      lost(overrun, overrunText);
    }
    lost(
      mold?.lost ?? 0,
      `${name}: ${lostMessages}; the sender can keep more (${MOLD_FLAG_NAMES.retain}), this side wait longer (${MOLD_FLAG_NAMES.repairTimeout})`,
    );
    lost(
      discarded,
      `${name}: ${showCount(discarded, 'message')} discarded: longer than 65,507 bytes, or cut short by a disconnect`,
    );
    lost(brokenLines, `${name}: ${showCount(brokenLines, 'line')} cut short by a disconnect`);
  }
  for (const sink of sinks) {
    const { name, dropReason } = sink;
    const { dropped, errors, returned, timedOut } = sink.counts;
    lost(dropped, `${name}: dropped ${showCount(dropped, 'datagram')}: ${dropReason}`);
    lost(timedOut, `${name}: disconnected ${showCount(timedOut, 'client')} that took nothing`);
    for (const [code, count] of Object.entries(errors)) {
      const why = reason(Object.assign(new Error(code), { code }));
      const failed = `${name}: ${why}${peers(name, code, returned)}, ${showCount(count, 'time')}`;
      const advice = sink.errorAdvice?.(code);
      lost(count, advice ? `${failed}; ${advice}` : failed);
    }
  }
  return { total, text: parts.join('; ') };
}

/** The destinations of returned errors, unless the sink's name already says it. */
function peers(name: string, code: string, returned: Record<string, number>): string {
  const all = Object.keys(returned).flatMap((key) => {
    const [returnedCode, to = ''] = key.split(' ');
    return returnedCode === code && !name.startsWith(to) ? [to] : [];
  });
  if (all.length === 0) return '';
  return ` (for ${all.slice(0, MAX_PEERS).join(', ')}${all.length > MAX_PEERS ? ', ...' : ''})`;
}

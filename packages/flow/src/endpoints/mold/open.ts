import { randomInt } from 'node:crypto';
import type { Rate, ValuesOf } from 'mproxy-base';
import type { Address } from 'mproxy-net';
import type { Opener } from '../../endpoint.js';
import { opener as udp } from '../udp/open.js';
import type { UdpSource } from '../udp/source.js';
import type { LINGER, MOLD_RECEIVE, MOLD_SEND } from './flags.js';
import { Sessions } from './sessions.js';
import { MoldSink } from './sink.js';

/** What the flags say; `once` and `rate` are those of the program. */
export type MoldValues = ValuesOf<{ a: typeof MOLD_SEND; b: typeof LINGER; c: typeof MOLD_RECEIVE }> & {
  once?: boolean;
  rate?: Rate | undefined;
};

const REPAIR_RATE: Rate = { unit: 'bits', perSecond: 1e9 };
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

export const opener: Opener<Address> = {
  ...udp,
  sharesSinks: true,
  async openSinks(program, targets, { payload, waits = false, pace, values }) {
    const { session, retain, repairRate, rate, linger } = values as MoldValues;
    const sink = new MoldSink(program, {
      ...{ retain, linger, payload, pace, waits },
      session: session ?? program.shared('session', newSession),
      repairRate: repairRate ?? rate ?? REPAIR_RATE,
    });
    return [await sink.open(targets)];
  },
  async openSources(program, target, context) {
    const { fromStart, requestAddr, repairTimeout, once = false } = context.values as MoldValues;
    const receiving = { fromStart, requestAddr, repairTimeout, once };
    const sessions = program.shared('sessions', () => new Sessions(program, receiving));
    const sources = (await udp.openSources!(program, target, context)) as UdpSource[];
    return sources.map((source) => sessions.source(source));
  },
};

/** Names must not repeat: there are 36^10. */
function newSession(): string {
  return Array.from({ length: 10 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
}

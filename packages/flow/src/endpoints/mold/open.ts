import { randomInt } from 'node:crypto';
import { type Rate, usage, type ValuesOf } from 'mproxy-base';
import type { AnyAddress, Opener } from '../../endpoint.js';
import type { Program } from '../../program.js';
import type { PacketOpener } from '../../transport.js';
import {
  type FROM_START,
  type LINGER,
  MOLD_FLAG_NAMES,
  type MOLD_RECEIVE,
  type MOLD_SEND,
  type RETAIN,
} from './flags.js';
import { Sessions } from './sessions.js';
import { MoldSink } from './sink.js';

/** What the flags say; `once` and `rate` are those of the program. */
export type MoldValues = ValuesOf<{
  a: typeof MOLD_SEND;
  b: typeof LINGER;
  c: typeof MOLD_RECEIVE;
  d: typeof RETAIN;
  e: typeof FROM_START;
}> & {
  once?: boolean;
  rate?: Rate | undefined;
};

const REPAIR_RATE: Rate = { unit: 'bits', perSecond: 1e9 };
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** Opens addresses of a transport for packets. */
export function openerOver<A extends AnyAddress>(transport: PacketOpener<A>): Opener<A> {
  return {
    ...transport,
    sharesSinks: true,
    openSinks: openSession,
    async openSources(program, target, context) {
      const { fromStart, requestAddr, repairTimeout, once = false } = context.values as MoldValues;
      const receiving = { fromStart, requestAddr, repairTimeout, once };
      const sessions = program.shared('sessions', () => new Sessions(program, receiving));
      const sources = await transport.openSources(program, target, context);
      return sources.map((source) => sessions.source(source, target.type.waits === true));
    },
  };
}

/** One session to all targets, whatever their transports. */
const openSession: NonNullable<Opener['openSinks']> = async (program, targets, context) => {
  const { payload, waits = false, pace, values } = context;
  const { session, retain, repairRate, rate, linger } = values as MoldValues;
  const name = session ?? newSession();
  const sink = new MoldSink(program, {
    ...{ retain, linger, payload, pace, waits, values },
    session: name,
    repairRate: repairRate ?? rate ?? REPAIR_RATE,
  });
  await sink.open(targets);
  forbidTwoOf(name, sink, program);
  return [sink];
};

/** A program may send several sessions. Without the address of their sender their names must differ. */
function forbidTwoOf(name: string, sink: MoldSink, program: Program): void {
  const sent = program.shared('sessions sent', () => new Map<string, MoldSink>());
  const other = sent.get(name);
  sent.set(name, sink);
  if (!other || (other.answers && sink.answers)) return;
  const why = `it would name two sessions, to ${other.name} and to ${sink.name}, which receivers could not tell apart`;
  throw usage(MOLD_FLAG_NAMES.session, name.trim(), why, 'leave it out');
}

/** Names must not repeat: there are 36^10. */
function newSession(): string {
  return Array.from({ length: 10 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
}

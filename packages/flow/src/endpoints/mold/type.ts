import { usage } from 'mproxy-base';
import { MAX_DATAGRAM } from 'mproxy-framing/cutter';
import { HEADER, MESSAGE_HEADER } from 'mproxy-mold/packet';
import type { AnyAddress, EndpointType, TypeFlags } from '../../endpoint.js';
import { NO_STREAM, PAYLOAD, STREAM_NAMES } from '../../stream/flags.js';
import type { Transport } from '../../transport.js';
import * as events from './events.js';
import {
  FROM_START,
  LINGER,
  MOLD_RECEIVE,
  MOLD_SEND,
  NO_FROM_START,
  NO_LINGER,
  NO_RETAIN,
  RETAIN,
} from './flags.js';

/** A packet with a message of one byte. */
const MIN_PAYLOAD = HEADER + MESSAGE_HEADER + 1;

const FLAGS: readonly TypeFlags[] = [
  { table: PAYLOAD, role: 'sink', unused: NO_STREAM },
  { table: MOLD_SEND, role: 'sink', unused: ['it is for frame=mold, and no address sends with it'] },
  { table: RETAIN, role: 'sink', unused: NO_RETAIN },
  { table: LINGER, role: 'sink', unused: NO_LINGER },
  { table: FROM_START, role: 'source', unused: NO_FROM_START },
  { table: MOLD_RECEIVE, role: 'source', unused: ['it is for frame=mold, and no address receives with it'] },
];

/** MoldUDP64 over a transport: its addresses with `frame=mold`. */
export function moldOver<A extends AnyAddress>(transport: Transport<A>): EndpointType<A> {
  return {
    ...transport,
    name: `mold over ${transport.name}`,
    mold: true,
    waits: transport.waits ?? false,
    flags: [...(transport.flags ?? []), ...FLAGS],
    events: [...(transport.events ?? []), ...Object.values(events)],
    check(values, roles, address) {
      transport.check?.(values, roles, address);
      const { payload } = values;
      if (!roles.includes('sink') || !(payload < MIN_PAYLOAD)) return;
      const why = `not a whole number from ${MIN_PAYLOAD} to ${MAX_DATAGRAM}`;
      throw usage(STREAM_NAMES.payload, String(payload), why);
    },
    claims: (keys) => keys.frame === 'mold' && (transport.claims?.(keys) ?? true),
    load: async () => {
      const [{ openerOver }, opener] = await Promise.all([import('./open.js'), transport.load()]);
      return openerOver(opener);
    },
  };
}

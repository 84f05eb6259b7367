import { usage } from 'mproxy-base';
import { MAX_DATAGRAM } from 'mproxy-framing/cutter';
import { HEADER, MESSAGE_HEADER } from 'mproxy-mold/packet';
import { type Address, parseAddress } from 'mproxy-net/address';
import type { EndpointType } from '../../endpoint.js';
import { NO_STREAM, PAYLOAD, STREAM_NAMES } from '../../stream/flags.js';
import { UDP_KEYS } from '../udp/type.js';
import * as events from './events.js';
import { LINGER, MOLD_RECEIVE, MOLD_SEND, NO_LINGER } from './flags.js';

/** A packet with a message of one byte. */
const MIN_PAYLOAD = HEADER + MESSAGE_HEADER + 1;

/** MoldUDP64 over UDP: an address with `frame=mold`. */
export const mold: EndpointType<Address> = {
  name: 'mold',
  schemes: ['udp'],
  syntax: 'HOST:PORT[,KEY[=VALUE]...]',
  keys: UDP_KEYS,
  carries: 'datagrams',
  listens: ['source'],
  events,
  flags: [
    { table: PAYLOAD, role: 'sink', unused: NO_STREAM },
    { table: MOLD_SEND, role: 'sink', unused: ['it is for frame=mold, and no address sends with it'] },
    { table: LINGER, role: 'sink', unused: NO_LINGER },
    {
      table: MOLD_RECEIVE,
      role: 'source',
      unused: ['it is for frame=mold, and no address receives with it'],
    },
  ],
  check({ payload }, roles) {
    if (roles.includes('sink') && payload < MIN_PAYLOAD)
      throw usage(
        STREAM_NAMES.payload,
        String(payload),
        `not a whole number from ${MIN_PAYLOAD} to ${MAX_DATAGRAM}`,
      );
  },
  claims: ({ frame }) => frame === 'mold',
  parse: parseAddress,
  load: async () => (await import('./open.js')).opener,
};

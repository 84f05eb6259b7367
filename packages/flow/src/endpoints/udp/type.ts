import { type Address, parseAddress } from 'mproxy-net/address';
import type { EndpointType } from '../../endpoint.js';
import * as events from './events.js';

/** Keys of a UDP address, also where it carries packets of `frame=mold`. */
export const UDP_KEYS = {
  source: ['frame', 'interface', 'source', 'rcvbuf'],
  sink: ['frame', 'interface', 'ttl', 'loop', 'bind', 'tos', 'sndbuf'],
} as const;

/** UDP: unicast, broadcast or a group. */
export const udp: EndpointType<Address> = {
  name: 'udp',
  schemes: ['udp'],
  syntax: 'HOST:PORT[,KEY[=VALUE]...]',
  keys: UDP_KEYS,
  carries: 'datagrams',
  listens: ['source'],
  events,
  parse: parseAddress,
  load: async () => (await import('./open.js')).opener,
};

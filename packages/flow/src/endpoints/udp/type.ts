import { type Address, parseAddress } from 'mproxy-net/address';
import type { Transport } from '../../transport.js';
import * as events from './events.js';

/** UDP: unicast, broadcast or a group. */
export const udp: Transport<Address> = {
  name: 'udp',
  schemes: ['udp'],
  syntax: 'HOST:PORT[,KEY[=VALUE]...]',
  keys: {
    source: ['frame', 'interface', 'source', 'rcvbuf'],
    sink: ['frame', 'interface', 'ttl', 'loop', 'bind', 'tos', 'sndbuf'],
  },
  carries: 'datagrams',
  ignoresOwn: true,
  listens: ['source'],
  events: Object.values(events),
  parse: parseAddress,
  load: async () => (await import('./open.js')).opener,
};

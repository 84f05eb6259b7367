import { usage } from 'mproxy-base';
import { type Address, type AddressRule, isGroup, parseAddress } from 'mproxy-net/address';
import type { Keys } from 'mproxy-net/keys';
import { checkPairs, TLS_IDENTITY, TLS_SERVER, TLS_TRUST } from 'mproxy-net/tls-flags';
import type { EndpointType } from '../../endpoint.js';
import { FLUSH_AFTER, NO_STREAM, PAYLOAD } from '../../stream/flags.js';
import { LINGER, NO_LINGER } from '../mold/flags.js';
import * as events from './events.js';
import { CLIENT_BUFFER, CLIENTS, SENDERS, UPSTREAM } from './flags.js';

/** TCP has no groups. */
function parseTcp(text: string, rule: AddressRule, keys: Keys): Address {
  const address = parseAddress(text, rule, keys);
  if (isGroup(address.host)) throw usage(rule.flag, text, 'a multicast group, which TCP does not have');
  return address;
}

const NO_TCP = ['no TCP connection is sent to'] as const;
const NO_TLS = ['no address is tls://', 'write tls://HOST:PORT'] as const;

/** TCP and TLS connections that this program opens. */
export const tcp: EndpointType<Address> = {
  name: 'tcp',
  schemes: ['tcp', 'tls'],
  syntax: 'tcp://HOST:PORT, tls://HOST:PORT',
  keys: { source: ['frame', 'bind', 'tls'], sink: ['frame', 'bind', 'tls'] },
  carries: 'stream',
  events: Object.values(events),
  listens: [],
  flags: [
    { table: PAYLOAD, role: 'source', unused: NO_STREAM },
    { table: FLUSH_AFTER, role: 'source', unused: NO_STREAM },
    { table: UPSTREAM, role: 'source', unused: ['there is no TCP upstream'] },
    { table: CLIENT_BUFFER, role: 'sink', unused: NO_TCP },
    { table: LINGER, role: 'sink', unused: NO_LINGER },
    { table: TLS_TRUST, appliesTo: ({ tls }) => tls === true, unused: NO_TLS },
    { table: TLS_IDENTITY, appliesTo: ({ tls }) => tls === true, unused: NO_TLS },
  ],
  parse: parseTcp,
  load: async () => (await import('./open.js')).connections,
};

/** TCP and TLS listeners: senders write to a source, clients read from a sink. */
export const tcpListener: EndpointType<Address> = {
  name: 'tcp listener',
  schemes: ['tcp', 'tls'],
  syntax: 'tcp://HOST:PORT, tls://HOST:PORT',
  keys: { source: ['frame', 'tls'], sink: ['frame', 'tls'] },
  carries: 'stream',
  events: Object.values(events),
  listens: ['source', 'sink'],
  flags: [
    { table: PAYLOAD, role: 'source', unused: NO_STREAM },
    { table: FLUSH_AFTER, role: 'source', unused: NO_STREAM },
    { table: SENDERS, role: 'source', unused: ['there is no TCP listener for senders'] },
    { table: CLIENT_BUFFER, role: 'sink', unused: NO_TCP },
    { table: CLIENTS, role: 'sink', unused: ['there is no TCP listener for clients'] },
    { table: TLS_SERVER, appliesTo: ({ tls }) => tls === true, unused: NO_TLS },
  ],
  check: (values, _roles, { keys }) => keys.tls && checkPairs(values),
  parse: parseTcp,
  load: async () => (await import('./open.js')).listeners,
};

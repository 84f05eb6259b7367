import { type Address, parseAddress } from 'mproxy-net/address';
import { TLS_CLIENT, TLS_SERVER } from 'mproxy-net/tls-flags';
import type { EndpointType } from '../../endpoint.js';
import { LINGER, NO_LINGER } from '../mold/flags.js';
import { CLIENT_BUFFER, CLIENTS, SENDERS, UPSTREAM } from './flags.js';

const NO_TCP = ['no TCP connection is sent to'] as const;
const NO_TLS = ['no address is tls://', 'write tls://HOST:PORT'] as const;

/** TCP and TLS connections that this program opens. */
export const tcp: EndpointType<Address> = {
  name: 'tcp',
  schemes: ['tcp', 'tls'],
  syntax: 'tcp://HOST:PORT, tls://HOST:PORT',
  keys: { source: ['frame', 'bind', 'tls'], sink: ['frame', 'bind', 'tls'] },
  carries: 'stream',
  listens: [],
  flags: [
    { table: UPSTREAM, role: 'source', unused: ['there is no TCP upstream'] },
    { table: CLIENT_BUFFER, role: 'sink', unused: NO_TCP },
    { table: LINGER, role: 'sink', unused: NO_LINGER },
    { table: TLS_CLIENT, appliesTo: ({ tls }) => tls === true, unused: NO_TLS },
  ],
  parse: parseAddress,
  load: async () => (await import('./open.js')).connections,
};

/** TCP and TLS listeners: senders write to a source, clients read from a sink. */
export const tcpListener: EndpointType<Address> = {
  name: 'tcp listener',
  schemes: ['tcp', 'tls'],
  syntax: 'tcp://HOST:PORT, tls://HOST:PORT',
  keys: { source: ['frame', 'tls'], sink: ['frame', 'tls'] },
  carries: 'stream',
  listens: ['source', 'sink'],
  flags: [
    { table: SENDERS, role: 'source', unused: ['there is no TCP listener for senders'] },
    { table: CLIENT_BUFFER, role: 'sink', unused: NO_TCP },
    { table: CLIENTS, role: 'sink', unused: ['there is no TCP listener for clients'] },
    { table: TLS_SERVER, appliesTo: ({ tls }) => tls === true, unused: NO_TLS },
  ],
  parse: parseAddress,
  load: async () => (await import('./open.js')).listeners,
};

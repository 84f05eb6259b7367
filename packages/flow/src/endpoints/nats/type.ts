import { usage } from 'mproxy-base';
import { TLS_IDENTITY, TLS_TRUST } from 'mproxy-net/tls-flags';
import type { TypeFlags } from '../../endpoint.js';
import type { Transport } from '../../transport.js';
import { FROM_START, LINGER, NO_FROM_START, NO_LINGER, NO_RETAIN, RETAIN } from '../mold/flags.js';
import { CLIENT_BUFFER } from '../tcp/flags.js';
import { type NatsAddress, OWN_KEYS, parseNats, STREAM_KEYS, SYNTAX } from './address.js';
import * as events from './events.js';
import { subjectError } from './subject.js';

const NO_SERVER = ['no connection is sent to'] as const;
const NO_TLS = ['no address is tls+nats://', 'write tls+nats://HOST/SUBJECT'] as const;

const FLAGS: readonly TypeFlags[] = [
  { table: LINGER, role: 'sink', unused: NO_LINGER },
  // A server of nats:// may want TLS, too.
  { table: TLS_TRUST, unused: NO_TLS },
  { table: TLS_IDENTITY, unused: NO_TLS },
];

/** Subjects of NATS servers: a message is a datagram. */
export const nats: Transport<NatsAddress> = {
  name: 'nats',
  schemes: ['nats', 'tls+nats'],
  syntax: SYNTAX,
  keys: { source: ['frame'], sink: ['frame'] },
  ownKeys: OWN_KEYS,
  carries: 'datagrams',
  listens: [],
  events: Object.values(events),
  flags: [{ table: CLIENT_BUFFER, role: 'sink', unused: NO_SERVER }, ...FLAGS],
  check: (_values, roles, { text, subject }) => {
    if (!roles.includes('sink')) return;
    const wrong = subjectError(subject, false);
    if (wrong) throw usage('subject', text, wrong);
  },
  parse: parseNats,
  load: async () => (await import('./open.js')).opener,
};

/** Subjects that a stream of JetStream has: what it takes is acknowledged, and can be read again. */
export const natsStream: Transport<NatsAddress> = {
  ...nats,
  name: 'nats with a stream',
  ownKeys: STREAM_KEYS,
  // The stream keeps what is not read yet.
  waits: true,
  flags: [
    ...FLAGS,
    { table: RETAIN, role: 'sink', unused: NO_RETAIN },
    { table: FROM_START, role: 'source', unused: NO_FROM_START },
  ],
  claims: (keys) => (keys as { stream?: string }).stream !== undefined,
};

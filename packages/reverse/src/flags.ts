import {
  addressFlag,
  FLUSH_AFTER_FLAG,
  type Flag,
  keyFlags,
  MOLD_RECEIVE_FLAGS,
  MOLD_SEND_FLAGS,
} from 'mproxy-command';

export const FLAGS: Record<string, Flag[]> = {
  'Into the group': [
    addressFlag('--udp-listen-addr', 'listen on UDP or a group: HOST:PORT[,KEY[=VALUE]...]; may repeat'),
    addressFlag('--tcp-listen-addr', 'accept TCP senders, or tls://HOST:PORT; may repeat'),
    {
      name: '--payload',
      value: 'BYTES',
      help: 'maximum UDP payload in bytes; default what fits the MTU, at most 8096',
    },
    FLUSH_AFTER_FLAG,
    {
      name: '--max-senders',
      value: 'COUNT',
      help: 'maximum number of senders on each --tcp-listen-addr; default 1000',
    },
    {
      name: '--sender-timeout',
      value: 'TIME',
      help: 'disconnect a sender that sends nothing for this long; default 0, never',
    },
  ],
  'The group in the middle': [
    { name: '--multicast-addr', value: 'ADDR', help: 'GROUP:PORT[,KEY[=VALUE]...]; default [ff02::1]:9918' },
    {
      name: '--tee',
      short: '-t',
      help: 'copy what the listeners take in, or without any what the group delivers, to stdout',
    },
  ],
  'From the group': [
    addressFlag(
      '--tcp-output-addr',
      'accept TCP clients, or tls://HOST:PORT: each gets everything; may repeat',
    ),
    addressFlag('--udp-output-addr', 'send to UDP; may repeat'),
    {
      name: '--client-buffer',
      value: 'SIZE',
      help: 'queue limit of a client that does not keep up; default 8MiB',
    },
    {
      name: '--client-timeout',
      value: 'TIME',
      help: 'disconnect a client that accepts nothing for this long; default 5m, 0 never',
    },
    {
      name: '--max-clients',
      value: 'COUNT',
      help: 'maximum number of clients on each --tcp-output-addr; default 1000',
    },
  ],
  Access: [
    {
      name: '--allow',
      value: 'CIDR',
      repeats: true,
      help: 'accept connections and datagrams only from this network; may repeat',
    },
  ],
  'TLS listeners': [
    {
      name: '--tls-cert',
      value: 'FILE',
      repeats: true,
      help: 'certificate of the tls:// listeners; may repeat (SNI)',
    },
    {
      name: '--tls-key',
      value: 'FILE',
      repeats: true,
      help: 'its key; the n-th goes with the n-th certificate',
    },
    { name: '--tls-client-ca', value: 'FILE', help: 'require client certificates from these authorities' },
  ],
  'Nothing lost (frame=mold)': [
    { name: '--once', help: 'end when every session has ended: with 0 when nothing is missing, else 1' },
    ...MOLD_SEND_FLAGS,
    ...MOLD_RECEIVE_FLAGS,
  ],
  'Keys of an address, as flags for all': keyFlags([
    'frame',
    'interface',
    'source',
    'ttl',
    'loop',
    'bind',
    'tos',
    'rcvbuf',
    'sndbuf',
    'tls',
  ]),
};

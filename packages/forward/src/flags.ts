import {
  addressFlag,
  FLUSH_AFTER_FLAG,
  type Flag,
  keyFlags,
  MOLD_RECEIVE_FLAGS,
  MOLD_SEND_FLAGS,
} from 'mproxy-command';

export const FLAGS: Record<string, Flag[]> = {
  'From and to': [
    addressFlag('--udp-listen-addr', 'listen on UDP or a group: HOST:PORT[,KEY[=VALUE]...]; may repeat'),
    addressFlag('--tcp-connect-addr', 'connect to a TCP upstream, or tls://HOST:PORT; may repeat'),
    addressFlag(
      '--udp-downstream-addr',
      'send to UDP, unicast, broadcast or a group; may repeat, all get everything',
    ),
    {
      name: '--allow',
      value: 'CIDR',
      repeats: true,
      help: 'UDP listeners drop datagrams of senders outside this network; may repeat',
    },
    { name: '--tee', short: '-t', help: 'copy what comes in to stdout' },
  ],
  'TCP upstreams': [
    { name: '--idle-timeout', value: 'TIME', help: 'silence that counts as failure; default 0, never' },
    { name: '--greeting', value: 'TEXT', help: 'send this after every connect; \\n and \\r are understood' },
    { name: '--greeting-file', value: 'FILE', help: 'send the contents of this file after every connect' },
    {
      name: '--once',
      help: 'connect each upstream once; end with 0 when all ended, 1 when one failed; so with sessions of frame=mold',
    },
    {
      name: '--payload',
      value: 'BYTES',
      help: 'maximum UDP payload in bytes; default what fits the MTU, at most 8096',
    },
    FLUSH_AFTER_FLAG,
  ],
  'TLS upstreams': [
    { name: '--tls-ca', value: 'FILE', help: "trust these authorities instead of the system's" },
    { name: '--tls-cert', value: 'FILE', help: 'client certificate to present' },
    { name: '--tls-key', value: 'FILE', help: 'its private key' },
    { name: '--tls-servername', value: 'NAME', help: "ask for and verify this name instead of the host's" },
    { name: '--tls-insecure', help: 'do not verify the upstream' },
  ],
  'Nothing lost (frame=mold)': [...MOLD_SEND_FLAGS, ...MOLD_RECEIVE_FLAGS],
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

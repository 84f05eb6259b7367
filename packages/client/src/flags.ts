import { addressFlag, FLUSH_AFTER_FLAG, type Flag, keyFlags, MOLD_SEND_FLAGS } from 'mproxy-command';

export const FLAGS: Record<string, Flag[]> = {
  'From and to': [
    { name: '--path', value: 'FILE|-', help: 'input: a file, FIFO or device; - is stdin' },
    addressFlag('--server-addr', 'where to send: HOST:PORT[,KEY[=VALUE]...]; may repeat, all get the same'),
    { name: '--tee', short: '-t', help: 'copy what is read to stdout' },
    {
      name: '--follow',
      help: 'go on at the end of the file, as tail -F: wait for it, survive truncation and rotation',
    },
    { name: '--from-end', help: 'with --follow: begin at the end of the file' },
    {
      name: '--baud',
      value: 'BAUD',
      help: 'speed of a serial device given by --path; default its present one',
    },
  ],
  'How it is sent': [
    { name: '--rate', value: 'RATE', help: 'rate limit of each destination, in payload: 100Mbps or 5000pps' },
    {
      name: '--payload',
      value: 'BYTES',
      help: 'maximum UDP payload in bytes; default what fits the MTU, at most 8096',
    },
    FLUSH_AFTER_FLAG,
    { name: '--progress', help: 'show a bar; on by itself for a regular file when stderr is a terminal' },
  ],
  'Nothing lost (--frame mold)': MOLD_SEND_FLAGS,
  'Keys of an address, as flags for all': keyFlags([
    'frame',
    'interface',
    'ttl',
    'loop',
    'bind',
    'tos',
    'sndbuf',
  ]),
};

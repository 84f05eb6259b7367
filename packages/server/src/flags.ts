import { addressFlag, type Flag, keyFlags, MOLD_RECEIVE_FLAGS } from 'mproxy-command';

export const FLAGS: Record<string, Flag[]> = {
  'From and to': [
    addressFlag('--listen-addr', 'where to listen: HOST:PORT[,KEY[=VALUE]...]; may repeat'),
    {
      name: '--path',
      value: 'FILE|-',
      help: 'output, appended to: a file, FIFO or device; - is stdout. Several listeners: FILE.ADDR each',
    },
    {
      name: '--allow',
      value: 'CIDR',
      repeats: true,
      help: 'drop datagrams of senders outside this network; may repeat',
    },
    {
      name: '--file-mode',
      value: 'MODE',
      help: 'octal mode of files that it makes; default 0666 less umask',
    },
    { name: '--merge', help: 'several listeners: all into FILE' },
    { name: '--tee', short: '-t', help: 'copy what is received to stdout' },
  ],
  'Rotation, to FILE.YYYYMMDD-HHMMSS.mmm (local time)': [
    {
      name: '--rotate-size',
      value: 'SIZE',
      help: 'rotate a file before a datagram would make it larger than this, at least 64KiB',
    },
    {
      name: '--rotate-every',
      value: 'TIME',
      help: 'rotate a file that is not empty by the clock: 1h is on the hour, 24h at midnight',
    },
    { name: '--keep', value: 'N', help: 'keep this many rotated files of each; default all' },
    { name: '--gzip', help: 'compress rotated files, in the background' },
  ],
  'Nothing lost (--frame mold)': [
    { name: '--once', help: 'end when every session has ended: with 0 when nothing is missing, else 1' },
    ...MOLD_RECEIVE_FLAGS,
  ],
  'Keys of an address, as flags for all': keyFlags(['frame', 'interface', 'source', 'rcvbuf']),
};

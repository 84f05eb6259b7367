/** Text of the man pages of all four commands that is not in --help. */
export type Item = readonly [what: string, text: string];

export const DESCRIPTION = [
  'Data alone goes to the standard output; every notice, and whatever was lost, goes to the standard error. A record, by ' +
    'default a line, is never torn: as many whole ones as fit make a datagram.',
];

export const ADDRESSES = [
  'An address is HOST:PORT[,KEY[=VALUE]...]. HOST is an IPv4 address, an IPv6 address in brackets, [fe80::1%eth0] with its ' +
    'zone, or a name. With port 0 a listener lets the system choose, and a notice says which port it is.',
  'Each key means what the option of its name means, for this address alone, and wins over the option. One that is ' +
    'on or off is written KEY, KEY=yes or KEY=no. As in 239.1.1.1:9922,interface=eth0.',
];

export const EXIT_STATUS: Item[] = [
  ['0', 'It is done, or was asked to stop.'],
  ['1', 'It ran and failed; one line on the standard error says at what, which address or file, and why.'],
  ['2', 'The command line is wrong; one line names the argument.'],
];

export const SIGNALS: Item[] = [
  [
    'SIGINT, SIGTERM',
    'It stops reading, writes out what the kernel already holds, says what was lost, and ends with 0. A second one ends it at once.',
  ],
];

export const ENVIRONMENT: Item[] = [
  [
    'NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID',
    'Set by systemd, which is told READY=1 when every socket and file is open, STOPPING=1, and in time WATCHDOG=1 ' +
      '(Type=notify, WatchdogSec=).',
  ],
];

/** For commands that connect by TLS. */
export const TLS_ENVIRONMENT: Item[] = [
  ['SSL_CERT_FILE', "The authorities to trust where the system's are elsewhere, without --tls-ca."],
];

/** Text of the man pages that is not in --help. */
export type Item = readonly [what: string, text: string];

export const DESCRIPTION = [
  'Only data is written to standard output; notices and reports of losses are written to standard error. Records, by default ' +
    'lines, stay whole: a datagram contains as many whole records as fit.',
];

export const ADDRESSES = [
  'An address is HOST:PORT[,KEY[=VALUE]...]. HOST is an IPv4 address, an IPv6 address in brackets, [fe80::1%eth0] with its ' +
    'zone, or a name. With port 0 the system chooses the port of a listener, and a notice reports it.',
  'Each key has the meaning of the option of the same name, applies to this address only, and overrides the option. A key ' +
    'that is on or off is written KEY, KEY=yes or KEY=no. Example: 239.1.1.1:9922,interface=eth0.',
];

export const EXIT_STATUS: Item[] = [
  ['0', 'Success, or stopped by a signal.'],
  [
    '1',
    'Failure at run time; one line on standard error names the operation, the address or file, and the reason.',
  ],
  ['2', 'Invalid command line; one line names the argument.'],
];

/** What SIGINT and SIGTERM do. */
export const STOP =
  'The program stops reading, writes out data that the kernel already holds, reports losses, and exits with 0. A second signal ends the program immediately.';

export const ENVIRONMENT: Item[] = [
  [
    'NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID',
    'Set by systemd. The program sends READY=1 when every socket and file is open, STOPPING=1 when it stops, and ' +
      'WATCHDOG=1 periodically (Type=notify, WatchdogSec=).',
  ],
];

/** For commands that connect by TLS. */
export const TLS_ENVIRONMENT: Item[] = [
  ['SSL_CERT_FILE', "Authorities to trust without --tls-ca, where the system's are stored elsewhere."],
];

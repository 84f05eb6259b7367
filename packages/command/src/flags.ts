import { KEYS, type KeyName } from 'mproxy-net/keys';

/** A flag of a command, the source of its help, parser, man page and completions. */
export interface Flag {
  /** `--path` */
  name: string;
  /** `-t` */
  short?: string;
  /** Placeholder of its value, `FILE|-`. None: a switch. */
  value?: string;
  /** All values; by default those in `value` if it lists words in lower case, `auto|linux`. */
  choices?: readonly string[];
  /** Whether the value may be omitted. */
  optional?: true;
  /** Whether it may be given more than once. */
  repeats?: true;
  help: string;
}

export const VERSION_FLAG: Flag = { name: '--version', short: '-V', help: 'print the version' };
export const HELP_FLAG: Flag = { name: '--help', short: '-h', help: 'print this help' };

/** The flags that every command has. */
export const COMMON_FLAGS: Flag[] = [
  {
    name: '--engine',
    value: 'auto|linux|node',
    help: 'socket engine: batched system calls on Linux, or Node alone; default auto',
  },
  {
    name: '--stats',
    value: 'TIME',
    optional: true,
    help: 'print the counters of each route to stderr, every second or every TIME',
  },
  { name: '--quiet', short: '-q', help: 'no notices on stderr; losses are still reported' },
  VERSION_FLAG,
  HELP_FLAG,
];

/** The flag of commands that split a stream into datagrams. */
export const FLUSH_AFTER_FLAG: Flag = {
  name: '--flush-after',
  value: 'TIME',
  help: 'send an unfinished line or raw piece this long after its first byte; default raw 50ms, lines never',
};

/** The flags of commands that send with `frame=mold`. */
export const MOLD_SEND_FLAGS: Flag[] = [
  {
    name: '--session',
    value: 'NAME',
    help: 'name of the session, 1 to 10 characters, never used before; default a new one each run',
  },
  {
    name: '--retain',
    value: 'SIZE',
    help: 'retransmission buffer size; default 256MiB',
  },
  {
    name: '--repair-rate',
    value: 'RATE',
    help: 'retransmission rate limit, in total, 100Mbps or 5000pps; default --rate, else 1Gbps',
  },
  {
    name: '--linger',
    value: 'TIME',
    help: 'answer retransmission requests this long after the end; default 2s',
  },
];

/** The flags of commands that receive with `frame=mold`, except `--once`. */
export const MOLD_RECEIVE_FLAGS: Flag[] = [
  { name: '--from-start', help: 'request each session from its first message' },
  {
    name: '--repair-timeout',
    value: 'TIME',
    help: 'report a message as lost this long after its first request; default 10s',
  },
  {
    name: '--request-addr',
    value: 'ADDR',
    help: 'HOST:PORT to send retransmission requests to; default the source of the data',
  },
];

/** A flag that takes an address, `HOST:PORT[,KEY[=VALUE]...]`. */
export function addressFlag(name: string, help: string): Flag {
  return { name, value: 'ADDR', repeats: true, help };
}

/** The flags that set these keys for every address. */
export function keyFlags(names: readonly KeyName[]): Flag[] {
  return names.map((name) => {
    const { value, choices, help, repeats } = KEYS[name];
    const flag: Flag = { name: `--${name}`, value: value ?? 'yes|no', help };
    if (choices) flag.choices = choices;
    if (!value) flag.optional = true;
    if (repeats) flag.repeats = true;
    return flag;
  });
}

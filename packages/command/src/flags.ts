import { KEYS, type KeyName } from 'mproxy-route/keys';

/** One flag of a command: what its help, its parser and its man page are made of. */
export interface Flag {
  /** `--path` */
  name: string;
  /** `-t` */
  short?: string;
  /** What its value looks like, `FILE|-`; a flag without one is a switch. */
  value?: string;
  /** Whether the value may be left out. */
  optional?: true;
  /** Whether it may be given more than once. */
  repeats?: true;
  help: string;
}

/** The flags that every command has. */
export const COMMON_FLAGS: Flag[] = [
  {
    name: '--engine',
    value: 'auto|linux|node',
    help: 'how sockets are read and written: in batches on Linux, or by Node; default auto',
  },
  {
    name: '--stats',
    value: 'TIME',
    optional: true,
    help: 'print what went in and out to stderr, every second or every TIME',
  },
  { name: '--quiet', short: '-q', help: 'no notices on stderr; what is lost is still told' },
];

/** A flag that takes an address, `HOST:PORT[,KEY[=VALUE]...]`. */
export function addressFlag(name: string, help: string): Flag {
  return { name, value: 'ADDR', repeats: true, help };
}

/** The flags that set these keys for every address. */
export function keyFlags(names: readonly KeyName[]): Flag[] {
  return names.map((name) => {
    const { value, help, repeats } = KEYS[name];
    const flag: Flag = { name: `--${name}`, value: value ?? 'yes|no', help };
    if (!value) flag.optional = true;
    if (repeats) flag.repeats = true;
    return flag;
  });
}

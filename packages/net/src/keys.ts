import { parseInteger, parseSize, usage } from 'mproxy-base';
import { FRAMES, type Frame, isFrame } from 'mproxy-framing/frame';

/** The keys of an address; see `KEYS` for each. */
export interface Keys {
  interface?: string;
  source?: string[];
  ttl?: number;
  loop?: boolean;
  bind?: string;
  tos?: number;
  rcvbuf?: number;
  sndbuf?: number;
  frame?: Frame;
  tls?: boolean;
}

export type KeyName = keyof Keys;

interface KeyRule {
  /** Placeholder of the value in the help; booleans have none. */
  value?: string;
  /** All values, if there are few. */
  choices?: readonly string[];
  help: string;
  /** May be given more than once for one address. */
  repeats?: true;
  parse(name: string, value: string): unknown;
}

/** Address keys. Each is also a flag, which sets the key for every address of the command that accepts it. */
export const KEYS: Record<KeyName, KeyRule> = {
  interface: {
    value: 'NAME|IP',
    help: "interface of a group, by name or local IP; default the system's choice",
    parse: (_name, value) => value,
  },
  source: {
    value: 'IP',
    help: 'accept a group from this sender alone (source-specific multicast, RFC 4607); may repeat',
    repeats: true,
    parse: (_name, value) => value,
  },
  ttl: {
    value: 'HOPS',
    help: 'multicast TTL (hop limit), 0 to 255; default 1',
    parse: (name, value) => parseInteger(name, value, 0, 255),
  },
  loop: {
    help: 'multicast loopback: whether receivers on this host get a copy; default yes',
    parse: yesOrNo,
  },
  bind: {
    value: 'HOST[:PORT]',
    help: 'local address, and port, to send from',
    parse: (_name, value) => value,
  },
  tos: {
    value: 'BYTE',
    help: 'DSCP/TOS byte of sent datagrams, 0 to 255 or 0x00 to 0xff; linux engine only',
    parse: (name, value) =>
      parseInteger(name, /^0x[\da-f]{1,2}$/i.test(value) ? Number(value) : value, 0, 255),
  },
  rcvbuf: { value: 'SIZE', help: 'receive buffer to ask the kernel for; default 8MiB', parse: buffer },
  sndbuf: { value: 'SIZE', help: 'send buffer to ask the kernel for; default 1MiB', parse: buffer },
  frame: {
    value: 'FRAME',
    choices: FRAMES,
    help: `how a stream is split into datagrams, and datagrams are joined: ${FRAMES.join(', ')}; default lines`,
    parse: (name, value) => parseFrame(name, value),
  },
  tls: { help: 'TLS, as tls://HOST:PORT', parse: yesOrNo },
};

export function parseFrame(name: string, value: string): Frame {
  if (isFrame(value)) return value;
  throw usage(name, value, 'no such frame', `use ${FRAMES.join(', ')}`);
}

/** Sets one key of an address. `name` is as the user wrote it: `ttl` or `--ttl`. */
export function setKey(keys: Keys, key: KeyName, name: string, value: string): void {
  const rule = KEYS[key];
  if (value === '') throw usage(name, '', 'needs a value');
  const parsed = rule.parse(name, value);
  const set = keys as Record<string, unknown>;
  if (rule.repeats) set[key] = [...((set[key] as unknown[]) ?? []), parsed];
  else if (Object.hasOwn(keys, key)) throw usage(name, value, 'given twice for one address');
  else set[key] = parsed;
}

function yesOrNo(name: string, value: string): boolean {
  if (value === 'yes' || value === 'no') return value === 'yes';
  throw usage(name, value, 'neither yes nor no');
}

function buffer(name: string, value: string): number {
  const bytes = parseSize(name, value);
  // SO_RCVBUF and SO_SNDBUF take an int (socket(7)).
  if (bytes >= 1 && bytes < 2 ** 31) return bytes;
  throw usage(name, value, 'not a size from 1 byte to 2 GiB');
}

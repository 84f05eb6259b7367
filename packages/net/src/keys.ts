import { choice, type FlagTable, integer, size, text, texts, usage, type ValuesOf, yesNo } from 'mproxy-base';
import { FRAMES, type Frame } from 'mproxy-framing/frame';

/** SO_RCVBUF and SO_SNDBUF take an int (socket(7)). */
const BUFFER = { min: 1, max: 2 ** 31 - 1, why: 'not a size from 1 byte to 2 GiB' };

/** Address keys. Each is also a flag, which sets the key for every address of the command that accepts it. */
export const KEYS = {
  frame: choice('frame', FRAMES, {
    value: 'FRAME',
    help: `how a stream is split into datagrams, and datagrams are joined: ${FRAMES.join(', ')}; default lines`,
  }),
  interface: text({
    value: 'NAME|IP',
    help: "interface of a group, by name or local IP; default the system's choice",
  }),
  source: texts({
    value: 'IP',
    help: 'accept a group from this sender alone (source-specific multicast, RFC 4607); may repeat',
  }),
  ttl: integer(0, 255, { value: 'HOPS', help: 'multicast TTL (hop limit), 0 to 255; default 1' }),
  loop: yesNo({ help: 'multicast loopback: whether receivers on this host get a copy; default yes' }),
  bind: text({ value: 'HOST[:PORT]', help: 'local address, and port, to send from' }),
  tos: tosByte(),
  rcvbuf: size({ help: 'receive buffer to ask the kernel for; default 8MiB' }, BUFFER),
  sndbuf: size({ help: 'send buffer to ask the kernel for; default 1MiB' }, BUFFER),
  tls: yesNo({ help: 'TLS, as tls://HOST:PORT' }),
};

export type KeyName = keyof typeof KEYS;
/** Keys that were given. */
export type Keys = { [K in KeyName]?: NonNullable<ValuesOf<{ keys: typeof KEYS }>[K]> };

/** The frame of an address; by default `lines`. */
export function frameOf({ keys }: { keys: Keys }): Frame {
  return keys.frame ?? 'lines';
}

function tosByte() {
  const byte = integer(0, 255, {
    value: 'BYTE',
    help: 'DSCP/TOS byte of sent datagrams, 0 to 255 or 0x00 to 0xff; linux engine only',
  });
  const read: typeof byte.read = (given, name, before) =>
    byte.read(/^0x[\da-f]{1,2}$/i.test(String(given)) ? Number(given) : given, name, before);
  return { ...byte, read };
}

/** What an address flag accepts beside the place. */
export interface KeyRule {
  flag: string;
  keys: readonly KeyName[];
  /** Keys that the type of the address defines. Default: none. */
  ownKeys?: FlagTable;
  /** Datagrams, unframed or with `frame=mold`, or a stream, with any other frame. Default: both. */
  carries?: 'datagrams' | 'stream';
}

/** Keys of one address, those that its type defines included. */
export interface AddressKeys<Own = unknown> {
  keys: Keys & Own;
  /** The keys given in the address itself, not by a flag for all addresses. */
  own: ReadonlySet<string>;
}

/**
 * Parses the keys of an address, `KEY[=VALUE]` each.
 * @param text the address in errors, without secrets
 * @throws MPROXY_USAGE
 */
export function parseKeys<Own = unknown>(pairs: string[], text: string, rule: KeyRule): Keys & Own {
  const keys: Keys = {};
  const known: FlagTable = { ...keyFlags(rule.keys), ...rule.ownKeys };
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = at < 0 ? pair : pair.slice(0, at);
    if (!Object.hasOwn(known, name)) {
      const names = [...rule.keys, ...Object.keys(rule.ownKeys ?? {})];
      const advice = names.length > 0 ? `known here: ${names.join(', ')}` : 'it takes none';
      throw usage(rule.flag, text, `unknown key ${JSON.stringify(name)}`, advice);
    }
    const flag = known[name]!;
    const value = at >= 0 ? pair.slice(at + 1) : flag.optional ? 'yes' : '';
    try {
      setKey(keys, name, value, flag);
    } catch (error) {
      throw usage(rule.flag, text, (error as Error).message);
    }
  }
  return keys as Keys & Own;
}

/**
 * Adds the keys given as flags, where the address accepts them and has not its own.
 * @throws MPROXY_USAGE if the frame cannot be used there
 */
export function withDefaults<Own>(
  own: Keys & Own,
  text: string,
  rule: KeyRule,
  defaults: Keys,
): AddressKeys<Own> {
  if (!fits(own, rule))
    throw usage(rule.flag, text, `frame=${own.frame} cannot be used here`, frameAdvice(rule));
  const usable = Object.entries(defaults).filter(
    ([key]) => rule.keys.includes(key as KeyName) && (key !== 'frame' || fits(defaults, rule)),
  );
  return { keys: { ...Object.fromEntries(usable), ...own }, own: new Set(Object.keys(own)) };
}

/** Whether the frame, if any, is allowed for the address. */
function fits({ frame }: Keys, { carries }: KeyRule): boolean {
  return frame === undefined || carries === undefined || (frame === 'mold') === (carries === 'datagrams');
}

function frameAdvice({ carries }: KeyRule): string {
  return carries === 'stream'
    ? 'mold is for datagrams; use lines, line or raw'
    : 'datagrams pass as they are; leave it out, or use frame=mold';
}

/** The flags of some keys, in the order of {@link KEYS}. */
export function keyFlags<const K extends KeyName>(names: readonly K[]): Pick<typeof KEYS, K> {
  const table: FlagTable = KEYS;
  return Object.fromEntries(Object.entries(table).filter(([name]) => names.includes(name as K))) as never;
}

/** Sets one key of an address. */
function setKey(keys: Keys, key: string, value: string, flag: FlagTable[string]): void {
  if (value === '') throw usage(key, '', 'needs a value');
  const set = keys as Record<string, unknown>;
  const parsed = flag.read(value, key, {});
  if (flag.repeats) set[key] = [...((set[key] as unknown[]) ?? []), ...(parsed as unknown[])];
  else if (Object.hasOwn(keys, key)) throw usage(key, value, 'given twice for one address');
  else set[key] = parsed;
}

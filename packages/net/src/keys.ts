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

/** The flags of some keys, in the order of {@link KEYS}. */
export function keyFlags<const K extends KeyName>(names: readonly K[]): Pick<typeof KEYS, K> {
  const table: FlagTable = KEYS;
  return Object.fromEntries(Object.entries(table).filter(([name]) => names.includes(name as K))) as never;
}

/** Sets one key of an address. */
export function setKey(keys: Keys, key: KeyName, value: string): void {
  if (value === '') throw usage(key, '', 'needs a value');
  const flag: FlagTable[string] = KEYS[key];
  const set = keys as Record<string, unknown>;
  const parsed = flag.read(value, key, {});
  if (flag.repeats) set[key] = [...((set[key] as unknown[]) ?? []), ...(parsed as unknown[])];
  else if (Object.hasOwn(keys, key)) throw usage(key, value, 'given twice for one address');
  else set[key] = parsed;
}

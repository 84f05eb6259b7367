import { usage } from 'mproxy-base';
import { type Address, type AddressRule, parseAddress } from './address.js';
import { KEYS, type KeyName, type Keys, setKey } from './keys.js';

/** Address keys as options of a program: each sets the key for every address that accepts it. */
export type KeyOptions = { [K in KeyName]?: Keys[K] | string };

/** Parses the keys given as options. @throws MPROXY_USAGE */
export function keyDefaults(options: KeyOptions): Keys {
  const keys: Keys = {};
  for (const name of Object.keys(KEYS) as KeyName[]) {
    const given = options[name];
    if (given === undefined) continue;
    for (const value of Array.isArray(given) ? given : [given])
      setKey(keys, name, `--${name}`, yesOrNo(value));
  }
  return keys;
}

/** Parses all addresses of one option. */
export function parseAddresses(
  given: string | string[] | undefined,
  rule: AddressRule,
  defaults: Keys,
): Address[] {
  return listOf(given).map((text) => parseAddress(text, rule, defaults));
}

/** Rejects TLS flags without a `tls://` address: the user expects TLS. @throws MPROXY_USAGE */
export function forbidTlsOptions<O>(options: O, names: (keyof O & string)[]): void {
  const given = names.find((name) => options[name] !== undefined && options[name] !== false);
  if (given === undefined) return;
  const flag = `--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw usage(flag, 'given', 'no address is tls://', 'write tls://HOST:PORT');
}

/** Whether an address carries MoldUDP64 packets. */
export function isMold({ keys }: Address): boolean {
  return keys.frame === 'mold';
}

export function listOf<T>(given: T | T[] | undefined): T[] {
  return given === undefined ? [] : Array.isArray(given) ? given : [given];
}

function yesOrNo(value: string | number | boolean): string {
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
}

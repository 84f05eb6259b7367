import { isIPv4 } from 'node:net';
import { type Flag, listOf, texts, usage } from 'mproxy-base';
import { canonicalIp } from './address.js';
import type { Network } from './datagrams.js';

/** `--allow`, for messages. */
export const ALLOW_NAME = '--allow';

/** The flag `--allow`, whose values are networks, `192.168.0.0/16` or `fd00::/8`. None: every network. */
export function networks(help: string): Flag<string | string[], Network[], ''> {
  const read = (given: string | string[] | undefined, name: string) =>
    listOf(given).map((text) => parseNetwork(name, text));
  return { ...texts({ value: 'CIDR', help: `${help}; may repeat` }), read };
}

/**
 * Reads `192.168.0.0/16`, `fd00::/8`, or an address.
 * @param name what it is called in the error
 * @throws MPROXY_USAGE
 */
export function parseNetwork(name: string, text: string): Network {
  const [ip, length, rest] = text.split('/');
  const address = canonicalIp(ip!);
  const maxPrefix = address && isIPv4(address) ? 32 : 128;
  const prefix = length === undefined ? maxPrefix : /^\d+$/.test(length) ? Number(length) : Number.NaN;
  if (!address || !(prefix <= maxPrefix) || rest !== undefined)
    throw usage(name, text, 'not a network like 192.168.0.0/16 or fd00::/8');
  return { address, prefix };
}

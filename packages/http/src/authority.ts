import { isIPv6 } from 'node:net';

export interface Authority {
  /** Lower case, without a trailing dot; IPv6 addresses in brackets. */
  readonly host: string;
  /** Undefined: none was given. */
  readonly port: number | undefined;
}

/** Letters, digits, `-`, `.`, `_`, `~`: of what RFC 3986 allows in names, what no program reads as anything else. */
const FORM = /^(?:([\w.~-]+)|\[([\da-fA-F:.]+)\])(?::(\d{1,5}))?$/;

/**
 * Reads a host with an optional port: of the Host field, of an absolute-form target. Undefined: it is none. Also rejected: an empty host
 * or label, an empty port, a port above 65535, user information, percent-escapes.
 */
export function parseAuthority(authority: string): Authority | undefined {
  const match = FORM.exec(authority);
  if (!match) return undefined;
  const [, name, address, digits] = match;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && port > 65_535) return undefined;
  if (address !== undefined)
    return isIPv6(address) ? { host: `[${address.toLowerCase()}]`, port } : undefined;
  const host = name!.toLowerCase().replace(/\.$/, '');
  return host === '' || host.startsWith('.') || host.endsWith('.') || host.includes('..')
    ? undefined
    : { host, port };
}

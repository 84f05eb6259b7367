import { isIP } from 'node:net';
import type { PortEncodingConfig } from './config/types.js';

/** Where the host of a request leads, or the status that answers it. */
export type PortTarget =
  | {
      host: string;
      port: number;
      /** Whether it may be beyond the loopback addresses. */
      isAllowed: boolean;
    }
  | { status: 403 | 404 | 421; reason: string };

/** Ports below are those of system services (RFC 6335, section 6). */
const FIRST_USER_PORT = 1024;
const LAST_PORT = 65_535;
/** A port in a host: at the end of a label, after `--`. */
const ENCODED = /--([1-9]\d{0,4})(?=\.|$)/;
/** A label that is a port of localhost. */
const BARE = /^([1-9]\d{0,4})(?=\.|$)/;

/**
 * Reads the target out of a host: everything before the first `--PORT` that ends a label, or localhost if the first label is a port. What
 * follows must be one of the suffixes.
 * @param host in lower case, without port and trailing dot
 */
export function portTarget(host: string, { suffixes, allowTargets }: PortEncodingConfig): PortTarget {
  const found = ENCODED.exec(host) ?? BARE.exec(host);
  const port = Number(found?.[1]);
  if (!found || (found[0].startsWith('--') && found.index === 0) || port > LAST_PORT) {
    const isOurs = suffixes.some((suffix) => host === suffix || host.endsWith(`.${suffix}`));
    if (isOurs) return { status: 404, reason: 'the host names no port: NAME--PORT.SUFFIX or PORT.SUFFIX' };
    return { status: 421, reason: 'this host is not served here' };
  }
  const target = host.slice(0, found.index) || 'localhost';
  const suffix = host.slice(found.index + found[0].length + 1);
  if (!suffixes.includes(suffix)) return { status: 421, reason: 'this host is not served here' };
  const isAllowed = allowTargets.some(
    ({ host, ports }) =>
      host === target && port >= (ports?.from ?? FIRST_USER_PORT) && port <= (ports?.to ?? LAST_PORT),
  );
  if (port >= FIRST_USER_PORT || isAllowed) return { host: target, port, isAllowed };
  return { status: 403, reason: `ports below ${FIRST_USER_PORT} need --allow-target` };
}

/** 127.0.0.0/8 (RFC 1122, section 3.2.1.3) and ::1 (RFC 4291, section 2.5.3). */
export function isLoopback(ip: string): boolean {
  return isIP(ip) === 4 ? ip.startsWith('127.') : ip === '::1';
}

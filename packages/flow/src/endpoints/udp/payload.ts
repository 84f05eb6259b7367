import { parseInteger } from 'mproxy-base';
import { MAX_DATAGRAM } from 'mproxy-framing';
import { HEADER, MESSAGE_HEADER } from 'mproxy-mold';
import type { Answer } from 'mproxy-net';
import { interfaceMtu, routeInterface, scoped } from 'mproxy-net';

/** The largest datagram that the original mproxy receives. */
const LARGEST = 8096;
/** An Ethernet's 1500 bytes less the IPv6 and UDP headers. */
const UNKNOWN = 1452;
/** IP and UDP headers without options (RFC 791, RFC 8200, RFC 768). */
const HEADERS = { 4: 28, 6: 48 };

/** Reads `--payload`. @param molds whether packets of MoldUDP64 are made, with a message of a byte at least @throws MPROXY_USAGE */
export function parsePayload(asked: number | string | undefined, molds = false): number | undefined {
  const least = molds ? HEADER + MESSAGE_HEADER + 1 : 1;
  return asked === undefined ? undefined : parseInteger('--payload', asked, least, MAX_DATAGRAM);
}

/**
 * How full datagrams are made: what the user said, else what fits the smallest MTU of the interfaces that the
 * destinations are reached by, at most 8096.
 */
export async function choosePayload(asked: number | undefined, destinations: Answer[]): Promise<number> {
  if (asked !== undefined) return asked;
  const fits = await Promise.all(destinations.map(fitting));
  return Math.min(LARGEST, ...fits);
}

async function fitting(answer: Answer): Promise<number> {
  const leaves = answer.interface ?? (await routeInterface(scoped(answer)));
  const mtu = leaves && interfaceMtu(leaves.name);
  return mtu === undefined ? UNKNOWN : mtu - HEADERS[answer.family];
}

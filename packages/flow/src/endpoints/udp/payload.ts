import { parseInteger } from 'mproxy-base';
import { MAX_DATAGRAM } from 'mproxy-framing';
import { HEADER, MESSAGE_HEADER } from 'mproxy-mold';
import type { Answer } from 'mproxy-net';
import { interfaceMtu, routeInterface, scoped } from 'mproxy-net';

/** The largest datagram that the original mproxy receives. */
const MAX_PAYLOAD = 8096;
/** Used where the MTU is unknown: Ethernet's 1500 bytes less the IPv6 and UDP headers. */
const DEFAULT_PAYLOAD = 1452;
/** IP and UDP headers without options (RFC 791, RFC 8200, RFC 768). */
const HEADERS = { 4: 28, 6: 48 };

/** Reads `--payload`. @param isMold needs room for MoldUDP64 headers and one byte @throws MPROXY_USAGE */
export function parsePayload(given: number | string | undefined, isMold = false): number | undefined {
  const min = isMold ? HEADER + MESSAGE_HEADER + 1 : 1;
  return given === undefined ? undefined : parseInteger('--payload', given, min, MAX_DATAGRAM);
}

/**
 * Size to which datagrams are filled: as given, else what fits the smallest MTU of the interfaces to the
 * destinations, at most 8096 bytes.
 */
export async function choosePayload(given: number | undefined, destinations: Answer[]): Promise<number> {
  if (given !== undefined) return given;
  const payloads = await Promise.all(destinations.map(payloadFor));
  return Math.min(MAX_PAYLOAD, ...payloads);
}

async function payloadFor(answer: Answer): Promise<number> {
  const via = answer.interface ?? (await routeInterface(scoped(answer)));
  const mtu = via && interfaceMtu(via.name);
  return mtu === undefined ? DEFAULT_PAYLOAD : mtu - HEADERS[answer.family];
}

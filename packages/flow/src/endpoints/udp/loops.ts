import { type Answer, broadcastAddresses, isGroup, isWildcard, listInterfaces } from 'mproxy-net';

/**
 * Whether datagrams sent to one address arrive at another: the ports are equal, and the input is the output's address, or a
 * wildcard where the output is a group, a broadcast address or an address of this host.
 */
export function feeds(output: Answer, input: Answer): boolean {
  if (output.port !== input.port) return false;
  // A group's interface may be written as its zone.
  if (output.ip === input.ip) {
    return (output.interface?.name ?? output.zone) === (input.interface?.name ?? input.zone);
  }
  // A datagram to a wildcard address goes to this host (ip(7): INADDR_ANY; RFC 1122, 3.2.1.3).
  if (isWildcard(output.ip) && !isWildcard(input.ip))
    return output.family === input.family && reachesThisHost(input.ip);
  if (!isWildcard(input.ip)) return false;
  // [::] receives IPv4 too; 0.0.0.0 does not receive IPv6.
  if (output.family === 6 && input.family === 4) return false;
  return isGroup(output.ip) || reachesThisHost(output.ip);
}

function reachesThisHost(ip: string): boolean {
  if (isWildcard(ip) || ip.startsWith('127.') || broadcastAddresses().includes(ip)) return true;
  return listInterfaces().some((one) => one.addresses.some(({ address }) => address === ip));
}

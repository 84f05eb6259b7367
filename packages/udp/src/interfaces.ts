import { createSocket, type SocketOptions } from 'node:dgram';
import { readFileSync, statSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

export interface LocalAddress {
  family: 4 | 6;
  address: string;
  netmask: string;
}

/** A network interface that is up and has an address. */
export interface NetInterface {
  name: string;
  internal: boolean;
  addresses: LocalAddress[];
}

export function listInterfaces(): NetInterface[] {
  return Object.entries(networkInterfaces()).map(([name, infos]) => ({
    name,
    internal: infos?.[0]?.internal ?? false,
    addresses: (infos ?? []).map(({ family, address, netmask }) => ({
      family: family === 'IPv4' ? 4 : 6,
      address,
      netmask,
    })),
  }));
}

/** Finds an interface by its name or by one of its addresses. */
export function findInterface(nameOrAddress: string): NetInterface | undefined {
  return listInterfaces().find(
    ({ name, addresses }) =>
      name === nameOrAddress || addresses.some(({ address }) => address === nameOrAddress),
  );
}

/**
 * The interface that datagrams to an address leave by, as the kernel's routes say; undefined without a route.
 * A UDP connect(2) sends nothing; it looks the route up and picks the source address.
 */
export async function routeInterface(address: string): Promise<NetInterface | undefined> {
  const family = isIPv6(address) ? 6 : 4;
  // All its addresses are IP addresses already.
  const lookup: SocketOptions['lookup'] = (host, _options, callback) => callback(null, host, family);
  const socket = createSocket({ type: `udp${family}`, lookup });
  try {
    const refused = await new Promise<unknown>((resolve) => {
      socket.once('error', resolve);
      socket.bind(0, () => resolve(undefined));
    });
    // No socket of the family (EAFNOSUPPORT), or none at all: the one that is to send reports it.
    if (refused) return undefined;
    // Or a broadcast address is refused (EACCES, udp(7)).
    socket.setBroadcast(true);
    // The callback gets an error (dgram: socket.connect), which the types leave out.
    const failed = await new Promise<unknown>((resolve) => socket.connect(9, address, resolve as () => void));
    return failed ? undefined : findInterface(socket.address().address.replace(/%.*/, ''));
  } finally {
    socket.close();
  }
}

/** The MTU of an interface in bytes; undefined where the system does not tell (sysfs, Linux). */
export function interfaceMtu(name: string): number | undefined {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/mtu`, 'latin1')) || undefined;
  } catch {
    return undefined;
  }
}

/**
 * Tells an interface from a later one that took its name, and perhaps its index: the inode of its folder in sysfs.
 * Undefined where the system does not tell.
 */
export function interfaceIdentity(name: string): number | undefined {
  return statSync(`/sys/class/net/${name}/`, { throwIfNoEntry: false })?.ino;
}

/** The IPv4 broadcast addresses of this host's networks, 255.255.255.255 with them (RFC 919). */
export function broadcastAddresses(): string[] {
  const networks = listInterfaces()
    .flatMap(({ addresses }) => addresses)
    .filter(({ family, netmask }) => family === 4 && netmask !== '255.255.255.255');
  return ['255.255.255.255', ...networks.map(directedBroadcast)];
}

function directedBroadcast({ address, netmask }: LocalAddress): string {
  const mask = netmask.split('.').map(Number);
  return address
    .split('.')
    .map((byte, i) => Number(byte) | (~mask[i]! & 0xff))
    .join('.');
}

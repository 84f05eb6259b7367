import type { SocketOptions } from 'node:dgram';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { getSystemErrorMap } from 'node:util';

export interface LocalAddress {
  family: 4 | 6;
  address: string;
  netmask: string;
}

/** A network interface that is up. */
export interface NetInterface {
  name: string;
  internal: boolean;
  /** Empty if it has none, or if the system does not list them. */
  addresses: LocalAddress[];
  /** Undefined without a link-local IPv6 address, which has the index. */
  index?: number;
}

/** The interfaces that are up, as far as the system lists them. */
export interface InterfaceList {
  interfaces: NetInterface[];
  /** Set if getifaddrs(3) failed: there are no addresses, and only the names that sysfs has. */
  error?: Error;
}

/**
 * Lists the interfaces. On Linux, sysfs adds those without an address, and all names if getifaddrs(3) fails:
 * without free descriptors, or in a sandbox that forbids netlink.
 */
export function readInterfaces(): InterfaceList {
  try {
    const listed = networkInterfaces();
    const interfaces = Object.entries(listed).map(([name, infos = []]): NetInterface => {
      // Only link-local addresses have it; others have 0.
      const index = infos.find((info) => info.family === 'IPv6' && info.scopeid > 0)?.scopeid;
      return {
        name,
        internal: infos[0]?.internal ?? false,
        addresses: infos.map(({ family, address, netmask }) => ({
          family: family === 'IPv4' ? 4 : 6,
          address,
          netmask,
        })),
        ...(index && { index }),
      };
    });
    return { interfaces: [...interfaces, ...sysfsInterfaces(listed)] };
  } catch (error) {
    return { interfaces: sysfsInterfaces({}), error: describeError(error as NodeJS.ErrnoException) };
  }
}

/** uv_interface_addresses returns the errno of getifaddrs(3) with a sign that Node does not know. */
function describeError(error: NodeJS.ErrnoException): Error {
  const [name, text] = getSystemErrorMap().get(-Math.abs(error.errno ?? 0)) ?? [];
  return name === undefined ? error : new Error(`${text} (${name})`, { cause: error });
}

/** The interfaces of {@link readInterfaces}, for callers that accept an incomplete list. */
export function listInterfaces(): NetInterface[] {
  return readInterfaces().interfaces;
}

/** <linux/if.h> */
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;

/**
 * The interfaces that are up and not in `known`, without addresses; none without sysfs. An interface without
 * carrier is left out, as by getifaddrs' IFF_RUNNING (dev_get_flags, linux/net/core/dev.c).
 */
function sysfsInterfaces(known: object): NetInterface[] {
  return sysfsNames()
    .filter((name) => !Object.hasOwn(known, name))
    .flatMap((name) => {
      const flags = Number(sysfs(name, 'flags'));
      const runs = ['up', 'unknown'].includes(sysfs(name, 'operstate') ?? '');
      return flags & IFF_UP && runs ? [{ name, internal: (flags & IFF_LOOPBACK) !== 0, addresses: [] }] : [];
    });
}

function sysfsNames(): string[] {
  try {
    return process.platform === 'linux' ? readdirSync('/sys/class/net') : [];
  } catch {
    // Not mounted, forbidden, or no free descriptor.
    return [];
  }
}

/** An attribute of an interface in sysfs; undefined if it cannot be read. */
function sysfs(name: string, file: 'flags' | 'ifindex' | 'mtu' | 'operstate'): string | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return readFileSync(`/sys/class/net/${name}/${file}`, 'latin1').trim();
  } catch {
    // Not mounted, forbidden, no free descriptor, or the interface is gone.
    return undefined;
  }
}

/** Finds an interface by its name or by one of its addresses. */
export function findInterface(nameOrAddress: string, among = listInterfaces()): NetInterface | undefined {
  return among.find(
    ({ name, addresses }) =>
      name === nameOrAddress || addresses.some(({ address }) => address === nameOrAddress),
  );
}

/** Finds the interface of a zone, by name or else by index (RFC 4007, section 11.2). */
export function findZone(zone: string): NetInterface | undefined {
  const interfaces = listInterfaces();
  const index = ({ name, index }: NetInterface) => String(index ?? sysfs(name, 'ifindex'));
  return interfaces.find(({ name }) => name === zone) ?? interfaces.find((one) => index(one) === zone);
}

/**
 * The outgoing interface for an address by the routing table; undefined without a route. connect(2) on a UDP
 * socket sends nothing: it looks up the route and picks the source address.
 */
export async function routeInterface(address: string): Promise<NetInterface | undefined> {
  const family = isIPv6(address) ? 6 : 4;
  // Only IP addresses are looked up here.
  const lookup: SocketOptions['lookup'] = (host, _options, callback) => callback(null, host, family);
  const { createSocket } = await import('node:dgram');
  const socket = createSocket({ type: `udp${family}`, lookup });
  try {
    const refused = await new Promise<unknown>((resolve) => {
      socket.once('error', resolve);
      socket.bind(0, () => resolve(undefined));
    });
    // No socket of the family (EAFNOSUPPORT), or none at all: the sending socket reports it.
    if (refused) return undefined;
    // Without it a broadcast address is refused (EACCES, udp(7)).
    socket.setBroadcast(true);
    // The callback receives an error (dgram: socket.connect), which the types omit.
    const failed = await new Promise<unknown>((resolve) => socket.connect(9, address, resolve as () => void));
    return failed ? undefined : findInterface(socket.address().address.replace(/%.*/, ''));
  } catch {
    // The sending socket reports the error.
    return undefined;
  } finally {
    socket.close();
  }
}

/** The MTU of an interface in bytes; undefined if the system does not report it (sysfs, Linux). */
export function interfaceMtu(name: string): number | undefined {
  return Number(sysfs(name, 'mtu')) || undefined;
}

/**
 * Distinguishes an interface from a later one of the same name, and perhaps index: the inode of its directory
 * in sysfs. Undefined if it cannot be read.
 */
export function interfaceIdentity(name: string): number | undefined {
  try {
    return statSync(`/sys/class/net/${name}/`, { throwIfNoEntry: false })?.ino;
  } catch {
    // Forbidden, as in a sandbox.
    return undefined;
  }
}

/** The IPv4 broadcast addresses of this host's networks, and 255.255.255.255 (RFC 919). */
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

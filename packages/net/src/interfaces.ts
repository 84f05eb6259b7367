import { createSocket, type SocketOptions } from 'node:dgram';
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
  /** Empty where it has none, and where the system does not list them. */
  addresses: LocalAddress[];
  /** Undefined where its list of addresses does not tell. */
  index?: number;
}

/** The interfaces that are up, as far as the system lists them. */
export interface InterfaceList {
  interfaces: NetInterface[];
  /** Why the addresses are missing, and names with them where sysfs does not have them: getifaddrs(3) failed. */
  error?: Error;
}

/**
 * Lists the interfaces. On Linux those without an address are there too, from sysfs, which also has the names when
 * getifaddrs(3) fails: without descriptors, or where a sandbox forbids netlink.
 */
export function readInterfaces(): InterfaceList {
  try {
    const listed = networkInterfaces();
    const interfaces = Object.entries(listed).map(([name, infos = []]): NetInterface => {
      // Of a link-local address; others have 0.
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
    return { interfaces: sysfsInterfaces({}), error: plainly(error as NodeJS.ErrnoException) };
  }
}

/** libuv hands over the errno of getifaddrs(3) with the sign that Node does not know (uv_interface_addresses). */
function plainly(error: NodeJS.ErrnoException): Error {
  const [name, text] = getSystemErrorMap().get(-Math.abs(error.errno ?? 0)) ?? [];
  return name === undefined ? error : new Error(`${text} (${name})`, { cause: error });
}

/** The interfaces of {@link readInterfaces}, for those who can do without what it does not list. */
export function listInterfaces(): NetInterface[] {
  return readInterfaces().interfaces;
}

/** <linux/if.h> */
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;

/**
 * The interfaces that are up and not among these, without their addresses; none where there is no sysfs. An interface
 * without a carrier is none, as for getifaddrs' IFF_RUNNING (dev_get_flags, linux/net/core/dev.c).
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
    // Not mounted, forbidden, or no descriptor is left.
    return [];
  }
}

/** What sysfs has of an interface; undefined where it has nothing. */
function sysfs(name: string, file: 'flags' | 'ifindex' | 'mtu' | 'operstate'): string | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return readFileSync(`/sys/class/net/${name}/${file}`, 'latin1').trim();
  } catch {
    // Not mounted, forbidden, no descriptor is left, or the interface went away.
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

/** Finds the interface that a zone names: by its name, else by its index (RFC 4007, section 11.2). */
export function findZone(zone: string): NetInterface | undefined {
  const interfaces = listInterfaces();
  const index = ({ name, index }: NetInterface) => String(index ?? sysfs(name, 'ifindex'));
  return interfaces.find(({ name }) => name === zone) ?? interfaces.find((one) => index(one) === zone);
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
  } catch {
    // Whoever sends there reports the error of its own socket.
    return undefined;
  } finally {
    socket.close();
  }
}

/** The MTU of an interface in bytes; undefined where the system does not tell (sysfs, Linux). */
export function interfaceMtu(name: string): number | undefined {
  return Number(sysfs(name, 'mtu')) || undefined;
}

/**
 * Tells an interface from a later one that took its name, and perhaps its index: the inode of its folder in sysfs.
 * Undefined where the system does not tell.
 */
export function interfaceIdentity(name: string): number | undefined {
  try {
    return statSync(`/sys/class/net/${name}/`, { throwIfNoEntry: false })?.ino;
  } catch {
    // Forbidden, as in a sandbox.
    return undefined;
  }
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

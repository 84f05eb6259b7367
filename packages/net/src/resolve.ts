import { isIP, isIPv4 } from 'node:net';
import { failure, usage } from 'mproxy-base';
import {
  type Address,
  canonicalIp,
  isGroup,
  isLinkLocal,
  lacksZone,
  parseBind,
  zoneNeeded,
} from './address.js';
import { findInterface, findZone, type NetInterface, readInterfaces, routeInterface } from './interfaces.js';

/** One resolved IP address of an address on the command line. */
export interface Answer {
  ip: string;
  family: 4 | 6;
  port: number;
  /** For a group: the interface to join it on, or to send on. */
  interface?: NetInterface;
  zone?: string;
}

/**
 * The distinct IP addresses of a host, in the resolver's order.
 * @throws the system's error; the signal's reason as soon as it is aborted
 */
export async function lookUp(host: string, signal: AbortSignal): Promise<string[]> {
  if (isIP(host)) return [host];
  const { resolver } = await import('./resolver/resolver.js');
  const answers = await resolver.lookUp(host, signal);
  return [...new Set(answers.map((ip) => canonicalIp(ip)!))];
}

/** All IP addresses of an address to listen on. @throws MPROXY_RESOLVE; the signal's reason */
export async function resolveAll(address: Address, signal: AbortSignal): Promise<Answer[]> {
  const ips = await lookUpNamed(address.text, address.host, signal);
  return Promise.all(ips.map((ip) => answer(address, ip)));
}

/** The first IP address of an address that can be sent to. @throws MPROXY_RESOLVE; the signal's reason */
export async function resolveFirst(address: Address, signal: AbortSignal): Promise<Answer> {
  const ips = await lookUpNamed(address.text, address.host, signal);
  const ip = ips.find((candidate) => !lacksZone(candidate, address));
  if (ip !== undefined) return answer(address, ip);
  const advice = `write [${ips[0]}%zone]:${address.port}`;
  throw failure('MPROXY_RESOLVE', 'look-up', address.text, zoneNeeded(ips[0]!), advice);
}

/**
 * Resolves the local address of a `bind` key.
 * @throws MPROXY_RESOLVE, also if it has no address of the destination's family; the signal's reason
 */
export async function resolveBind(
  text: string,
  family: 4 | 6,
  signal: AbortSignal,
): Promise<{ address: string; port: number }> {
  const { host, zone, port } = parseBind(text);
  const ip = (await lookUpNamed(text, host, signal)).find((candidate) => familyOf(candidate) === family);
  if (!ip)
    throw failure('MPROXY_RESOLVE', 'bind', text, `not an IPv${family} address, as its destination needs`);
  return { address: zone === undefined ? ip : `${ip}%${zoneName(zone, text)}`, port };
}

async function lookUpNamed(text: string, host: string, signal: AbortSignal): Promise<string[]> {
  try {
    return await lookUp(host, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw failure('MPROXY_RESOLVE', 'look-up', text, error, 'check the name, or write an IP address');
  }
}

export function familyOf(ip: string): 4 | 6 {
  return isIPv4(ip) ? 4 : 6;
}

/** An address for the kernel: link-local ones with their zone. */
export function scoped({ ip, zone, interface: on }: Answer): string {
  const name = zone ?? on?.name;
  return name !== undefined && isLinkLocal(ip) ? `${ip}%${name}` : ip;
}

async function answer(address: Address, ip: string): Promise<Answer> {
  const result: Answer = { ip, family: familyOf(ip), port: address.port };
  const zone = zoneOf(address, ip);
  if (zone !== undefined) result.zone = zone;
  if (isGroup(ip)) {
    if (address.port === 0)
      throw usage('port', address.text, 'port 0 is no group', 'give the port of the group');
    checkSources(address, ip);
    result.interface = await groupInterface(address, ip, zone);
  } else forbidGroupKeys(address, ip);
  return result;
}

function checkSources({ text, keys }: Address, ip: string): void {
  const family = familyOf(ip);
  for (const source of keys.source ?? []) {
    if (isIP(source) === family && !isGroup(source)) continue;
    throw usage('source', text, `${source} is not the IPv${family} address of a sender`);
  }
}

/** Rejects group keys in a unicast address itself. For a link-local address `interface` is the zone. */
function forbidGroupKeys({ text, own }: Address, ip: string): void {
  for (const key of ['interface', 'source', 'ttl', 'loop'] as const) {
    if (!own.has(key) || (key === 'interface' && isLinkLocal(ip))) continue;
    throw usage(key, text, `is for multicast groups, and ${ip} is none`);
  }
}

/**
 * The name of the interface of an address: its zone, or `interface` for a link-local unicast address.
 * @throws MPROXY_INTERFACE; MPROXY_USAGE if zone and interface differ
 */
export function zoneOf({ text, keys, zone, own }: Address, ip: string): string | undefined {
  if (zone === undefined) {
    const given = isLinkLocal(ip) && !isGroup(ip) ? keys.interface : undefined;
    return given === undefined ? undefined : requireInterface(given, text).name;
  }
  const name = zoneName(zone, text);
  if (own.has('interface') && requireInterface(keys.interface!, text).name !== name)
    throw usage('interface', text, `the zone ${zone} contradicts interface=${keys.interface}`);
  return name;
}

/** @throws MPROXY_INTERFACE */
async function groupInterface(
  { text, keys }: Address,
  ip: string,
  zone: string | undefined,
): Promise<NetInterface> {
  const name = zone ?? keys.interface;
  const chosen = name === undefined ? await defaultInterface(ip) : requireInterface(name, text);
  if (chosen) return chosen;
  const why = `no interface can carry it${listErrorSuffix()}`;
  throw failure('MPROXY_INTERFACE', 'group', text, why, 'name one with interface=NAME');
}

/** The interface name of a zone. If no interfaces can be listed, the kernel resolves the zone. */
function zoneName(zone: string, text: string): string {
  const found = findZone(zone);
  if (found) return found.name;
  const { interfaces, error } = readInterfaces();
  return error && interfaces.length === 0 ? zone : requireInterface(zone, text).name;
}

function requireInterface(name: string, text: string): NetInterface {
  const { interfaces } = readInterfaces();
  const found = findInterface(canonicalIp(name) ?? name, interfaces);
  if (found) return found;
  const known = interfaces.map((one) => one.name);
  throw failure(
    'MPROXY_INTERFACE',
    'interface',
    text,
    `no interface ${name} that is up${listErrorSuffix()}`,
    known.length > 0 ? `there is ${known.join(', ')}` : '',
  );
}

/** Suffix for errors about interfaces: why the list is incomplete. */
function listErrorSuffix(): string {
  const { error } = readInterfaces();
  return error ? ` (the list of interfaces cannot be read: ${error.message})` : '';
}

/** The interface that the routes select for a group; without a route (link-local) the first external one. */
async function defaultInterface(ip: string): Promise<NetInterface | undefined> {
  const family = familyOf(ip);
  const { interfaces } = readInterfaces();
  const usable = interfaces.filter((one) => one.addresses.some((address) => address.family === family));
  return (await routeInterface(ip)) ?? usable.find((one) => !one.internal) ?? usable[0];
}

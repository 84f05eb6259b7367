import { findInterface, type NetInterface } from '../interfaces.js';

const PERIOD_MS = 1000;

/** What a socket does with its interface: `use` at the start and again every second, `lose` when it went away. */
export interface InterfaceUser {
  /** Makes the socket use the interface. Called again and again; says whether something had to be done. */
  use(current: NetInterface): boolean;
  lose?(last: NetInterface): void;
}

/**
 * Keeps a socket on its interface while that disappears and comes back, also with another index or address: the
 * kernel forgets a membership with the interface, and numbers the next one anew. Asking again costs one system
 * call a second; netlink, which would tell, cannot be had from Node.
 * @returns stops the upkeep
 */
export function keepUp(
  initial: NetInterface,
  user: InterfaceUser,
  what: string,
  notice: (text: string) => void,
): () => void {
  let last = initial;
  let present = true;
  const check = () => {
    const current = findInterface(initial.name);
    if (current) {
      last = current;
      const renewed = use(user, current);
      if (renewed || (renewed !== undefined && !present))
        notice(`${what}: interface ${initial.name} is back`);
      if (renewed !== undefined) present = true;
    } else if (present) {
      present = false;
      user.lose?.(last);
      notice(`${what}: interface ${initial.name} is gone; waiting for it`);
    }
  };
  const timer = setInterval(check, PERIOD_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** An interface that is listed but not yet ready to be used is asked again a second later. */
function use(user: InterfaceUser, current: NetInterface): boolean | undefined {
  try {
    return user.use(current);
  } catch {
    return undefined;
  }
}

/** How node:dgram names an interface: by its own address in IPv4, by its zone in IPv6. */
export function dgramInterface(family: 4 | 6, { name, addresses }: NetInterface): string {
  if (family === 6) return `::%${name}`;
  const own = addresses.find((address) => address.family === 4);
  if (!own)
    throw Object.assign(new Error(`interface ${name} has no IPv4 address`), { code: 'EADDRNOTAVAIL' });
  return own.address;
}

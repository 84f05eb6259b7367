import { findInterface, interfaceIdentity, type NetInterface } from './interfaces.js';

const PERIOD_MS = 1000;

/** What a socket does with its interface: `use` at the start and again every second, `lose` when it went away. */
export interface InterfaceUser {
  /** Makes the socket use the interface. Called again and again; says whether something had to be done. */
  use(current: NetInterface): boolean;
  lose?(last: NetInterface): void;
  /** Takes the place of `use` where the interface was gone, or is another of the same name. */
  renew?(current: NetInterface): Promise<void>;
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
  const { name } = initial;
  let last = initial;
  let identity = interfaceIdentity(name);
  let present = true;
  let busy = false;
  const check = async () => {
    const current = findInterface(name);
    const seen = interfaceIdentity(name);
    if (present && (!current || seen !== identity)) {
      present = false;
      if (!current) user.lose?.(last);
      notice(`${what}: interface ${name} is gone; waiting for it`);
    }
    if (!current || busy) return;
    last = current;
    busy = true;
    const renewed = await use(user, current, !present);
    busy = false;
    if (renewed || (renewed !== undefined && !present)) notice(`${what}: interface ${name} is back`);
    if (renewed === undefined) return;
    identity = seen;
    present = true;
  };
  const timer = setInterval(() => void check(), PERIOD_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** An interface that is listed but not yet ready to be used is asked again a second later. */
async function use(user: InterfaceUser, current: NetInterface, back: boolean): Promise<boolean | undefined> {
  try {
    if (!back || !user.renew) return user.use(current);
    await user.renew(current);
    return true;
  } catch {
    return undefined;
  }
}

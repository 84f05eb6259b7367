import { throwInternal } from 'mproxy-base';
import { findInterface, interfaceIdentity, type NetInterface, readInterfaces } from './interfaces.js';

const PERIOD_MS = 1000;

/** What a socket does with its interface: `use` at the start and again every second, `lose` when it went away. */
export interface InterfaceUser {
  /** Makes the socket use the interface. Called again and again; says whether something had to be done. */
  use(current: NetInterface): boolean;
  lose?(last: NetInterface): void;
  /** Takes the place of `use` where the interface was gone, or is another of the same name. */
  renew?(current: NetInterface): Promise<void>;
}

type Notice = (text: string) => void;

/** Looks after one socket, by the list as it is now. */
interface Watcher {
  check(list: NetInterface[]): Promise<void>;
  notice: Notice;
}

const watchers = new Set<Watcher>();
let timer: NodeJS.Timeout | undefined;
/** Whether the last look failed. */
let blind = false;

/**
 * Reads the list of interfaces once a second for all sockets of the process: netlink, which would report changes,
 * is not available from Node. While the list cannot be read, no interface counts as gone.
 */
function poll(): void {
  const { interfaces, error } = readInterfaces();
  if (blind !== (error !== undefined)) {
    blind = error !== undefined;
    const text = error
      ? `interfaces: the list of this host's interfaces cannot be read: ${error.message}; going on without it`
      : "interfaces: the list of this host's interfaces can be read again";
    // Sockets of one program share its notice.
    for (const notice of new Set([...watchers].map((watcher) => watcher.notice))) notice(text);
  }
  if (error) return;
  for (const { check } of [...watchers]) void check(interfaces);
}

/** @returns stops it */
function watch(watcher: Watcher): () => void {
  watchers.add(watcher);
  timer ??= setInterval(poll, PERIOD_MS).unref();
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
    blind = false;
  };
}

/**
 * Keeps a socket on its interface while that disappears and comes back, also with another index or address: the
 * kernel forgets a membership with the interface, and numbers the next one anew.
 * @returns stops the upkeep
 */
export function keepUp(initial: NetInterface, user: InterfaceUser, what: string, notice: Notice): () => void {
  const { name } = initial;
  let last = initial;
  let identity = interfaceIdentity(name);
  let present = true;
  let busy = false;
  const check = async (list: NetInterface[]) => {
    const current = findInterface(name, list);
    const seen = interfaceIdentity(name);
    const replaced = seen !== undefined && identity !== undefined && seen !== identity;
    if (present && (!current || replaced)) {
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
    identity = seen ?? identity;
    present = true;
  };
  return watch({ check, notice });
}

/** An interface that is listed but not yet ready to be used is asked again a second later. */
async function use(user: InterfaceUser, current: NetInterface, back: boolean): Promise<boolean | undefined> {
  try {
    if (!back || !user.renew) return user.use(current);
    await user.renew(current);
    return true;
  } catch (error) {
    throwInternal(error);
    return undefined;
  }
}

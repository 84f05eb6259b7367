import { throwInternal } from 'mproxy-base';
import { findInterface, interfaceIdentity, type NetInterface, readInterfaces } from './interfaces.js';

const PERIOD_MS = 1000;

/** A socket on an interface: `use` is called once per second, `lose` when the interface disappears. */
export interface InterfaceUser {
  /** Makes the socket use the interface, if it does not already. Returns whether anything changed. */
  use(current: NetInterface): boolean;
  lose?(last: NetInterface): void;
  /** Called instead of `use` if the interface was gone, or is another one of the same name. */
  renew?(current: NetInterface): Promise<void>;
}

type Notice = (text: string) => void;

/** Checks one socket against the current list. */
interface Watcher {
  check(list: NetInterface[]): Promise<void>;
  notice: Notice;
}

const watchers = new Set<Watcher>();
let timer: NodeJS.Timeout | undefined;
/** Whether the list could not be read last time. */
let listUnreadable = false;

/**
 * Reads the list of interfaces once per second for all sockets of the process: netlink, which reports
 * changes, is not available from Node. While the list cannot be read, no interface counts as gone.
 */
function poll(): void {
  const { interfaces, error } = readInterfaces();
  if (listUnreadable !== (error !== undefined)) {
    listUnreadable = error !== undefined;
    const text = error
      ? `interfaces: the list of this host's interfaces cannot be read: ${error.message}; going on without it`
      : "interfaces: the list of this host's interfaces can be read again";
    // Sockets of one program share a notice function.
    for (const notice of new Set([...watchers].map((watcher) => watcher.notice))) notice(text);
  }
  if (error) return;
  for (const { check } of [...watchers]) void check(interfaces);
}

/** @returns stops the checks */
function watch(watcher: Watcher): () => void {
  watchers.add(watcher);
  timer ??= setInterval(poll, PERIOD_MS).unref();
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
    listUnreadable = false;
  };
}

/**
 * Keeps a socket on its interface when that disappears and returns, also with another index or address: the
 * kernel drops a membership with the interface, and assigns a new index.
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

/** Returns undefined if the interface is listed but not ready; the next check tries again. */
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

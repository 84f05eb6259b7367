import { isObject } from 'mproxy-service/config-table';

/** A key that a flag gives. */
export interface FlagKey {
  /** `thread_count`, `access_log.to` */
  path: string;
  /** As the user writes it, for messages; of a list, of each element. */
  flag: string | string[];
  value: unknown;
}

/** Lists to which flags add; other keys are replaced. */
const ADDED = ['routes', 'trusted_proxies', 'run', 'certificates'];
/** What `--listen-addr` replaces. */
const LISTENERS = ['host', 'port', 'listen'];

type Document = Record<string, unknown>;

/** A document without the keys that flags replace. */
export function withoutReplaced(document: Document, keys: readonly FlagKey[]): Document {
  const replaced = new Set(keys.map(({ path }) => path));
  const drops = (path: string) =>
    (replaced.has(path) && !ADDED.includes(path)) || (replaced.has('listen') && LISTENERS.includes(path));
  const kept = Object.entries(document).filter(([key]) => !drops(key));
  const entries = kept.map(([key, value]) => {
    if (!isObject(value)) return [key, value];
    return [key, Object.fromEntries(Object.entries(value).filter(([name]) => !drops(`${key}.${name}`)))];
  });
  return Object.fromEntries(entries);
}

/**
 * Adds the keys of flags to a document without those that they replace.
 * @param names takes the flags by the paths of what they give
 */
export function withFlags(
  document: Document,
  keys: readonly FlagKey[],
  names: Map<string, string>,
): Document {
  const merged: Document = { ...document };
  for (const { path, flag, value } of keys) {
    const [key = '', inner] = path.split('.');
    const old = merged[key];
    // What is no list or object stays, and is reported.
    if (inner !== undefined) {
      if (old === undefined || isObject(old)) merged[key] = { ...old, [inner]: value };
    } else if (!ADDED.includes(key)) merged[key] = value;
    else if (old === undefined || Array.isArray(old)) merged[key] = [...(old ?? []), ...(value as unknown[])];
    if (typeof flag === 'string') names.set(path, flag);
    else {
      const offset = ADDED.includes(key) && Array.isArray(old) ? old.length : 0;
      for (const [i, one] of flag.entries()) names.set(`${path}[${offset + i}]`, one);
    }
  }
  return merged;
}

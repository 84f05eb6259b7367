import { X509Certificate } from 'node:crypto';
import type { TlsPair } from './streams.js';

/** The names of some pairs, each with the first pair that has it. */
interface Names {
  exact: Map<string, number>;
  /** By what follows the star: `.example.com`. */
  wildcards: Map<string, number>;
  /** Pairs without names of their own: their certificates tell. */
  others: { pair: number; certificate: X509Certificate }[];
}

const tables = new WeakMap<readonly TlsPair[], Names>();

/**
 * The number of the pair that serves a name: exact names first, then the longest wildcard, then what certificates say.
 * @param name in any case, a dot at its end or not
 */
export function pairFor(pairs: readonly TlsPair[], name: string): number | undefined {
  let table = tables.get(pairs);
  if (!table) {
    table = tableOf(pairs);
    tables.set(pairs, table);
  }
  const host = name.toLowerCase().replace(/\.$/, '');
  const exact = table.exact.get(host) ?? wildcard(table, host);
  return exact ?? table.others.find(({ certificate }) => certificate.checkHost(host))?.pair;
}

function wildcard({ wildcards }: Names, host: string): number | undefined {
  for (let dot = host.indexOf('.', 1); dot > 0; dot = host.indexOf('.', dot + 1)) {
    const pair = wildcards.get(host.slice(dot));
    if (pair !== undefined) return pair;
  }
  return undefined;
}

function tableOf(pairs: readonly TlsPair[]): Names {
  const table: Names = { exact: new Map(), wildcards: new Map(), others: [] };
  for (const [pair, { names, cert }] of pairs.entries()) {
    if (!names) table.others.push({ pair, certificate: new X509Certificate(cert) });
    for (const name of names ?? []) {
      const lower = name.toLowerCase();
      const map = lower.startsWith('*') ? table.wildcards : table.exact;
      const key = lower.replace(/^\*/, '');
      if (!map.has(key)) map.set(key, pair);
    }
  }
  return table;
}

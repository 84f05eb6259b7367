import { X509Certificate } from 'node:crypto';
import type { TlsPair, TlsServer } from './streams.js';

type Named = Pick<TlsPair, 'cert' | 'names'>;

const tables = new WeakMap<readonly Named[], PairNames>();

/**
 * Which certificate a server name gets: the pair that has exactly this name, else the one with the longest wildcard that it matches. Of
 * several the first counts. Case and a dot at the end do not matter.
 * @param pairs never changed afterwards: what is derived from them is kept
 * @returns the number of the pair; undefined: none has the name
 * @throws the error of OpenSSL, if a certificate is invalid
 */
export function pairFor(pairs: readonly Named[], name: string): number | undefined {
  return tableOf(pairs).find(name, false);
}

/**
 * To whose site a host belongs: as {@link pairFor}, but wildcards of certificates, too, stand for one label or more, as those of routes
 * do. So a host that a certificate's wildcard is meant for never counts as that of another site.
 */
export function sitePairFor(pairs: readonly Named[], host: string): number | undefined {
  return tableOf(pairs).find(host, true);
}

function tableOf(pairs: readonly Named[]): PairNames {
  let table = tables.get(pairs);
  if (!table) {
    table = new PairNames(pairs);
    tables.set(pairs, table);
  }
  return table;
}

/** The names that a certificate has for hosts, in lower case: the DNS names of subjectAltName, or where there are none, its common name. */
export function certificateNames(certificate: X509Certificate): string[] {
  const found = [...(certificate.subjectAltName ?? '').matchAll(ALTERNATIVE)];
  const names = found.map(([, quoted, bare]) =>
    quoted === undefined ? bare! : (JSON.parse(quoted) as string),
  );
  const common = /^CN=(.+)$/m.exec(certificate.subject)?.[1];
  const all = names.length > 0 || common === undefined ? names : [common];
  return all.map((name) => name.toLowerCase());
}

/** `DNS:one.test, IP Address:127.0.0.1`; a name with special characters is a string of JSON (Node: X509Certificate). */
const ALTERNATIVE = /(?:^|, )DNS:(?:("(?:[^"\\]|\\.)*")|([^,]*))/g;

/** What clients that are given a pair are verified by; undefined: they need no certificate. */
export function clientCaOf(pair: TlsPair, tls: Pick<TlsServer, 'clientCa'>): string | undefined {
  return pair.clientCa ?? tls.clientCa;
}

class PairNames {
  /** Names, and wildcards without their `*`. */
  readonly #exact = new Map<string, number>();
  /** In a certificate, `*` stands for one label (RFC 9525, section 6.3). */
  readonly #oneLabel = new Map<string, number>();
  /** In a configuration, for one or more. */
  readonly #labels = new Map<string, number>();

  constructor(pairs: readonly Named[]) {
    for (const [pair, { cert, names }] of pairs.entries()) {
      const all = names ?? certificateNames(new X509Certificate(cert));
      const wildcards = names ? this.#labels : this.#oneLabel;
      for (const name of all.map((one) => one.toLowerCase()))
        if (name.startsWith('*.')) addFirst(wildcards, name.slice(1), pair);
        else addFirst(this.#exact, name, pair);
    }
  }

  /** @param isDeep whether wildcards of certificates stand for several labels, too */
  find(given: string, isDeep: boolean): number | undefined {
    const name = given.toLowerCase().replace(/\.$/, '');
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact;
    const first = name.indexOf('.');
    for (let dot = first; dot > 0; dot = name.indexOf('.', dot + 1)) {
      const rest = name.slice(dot);
      const found =
        this.#labels.get(rest) ?? (isDeep || dot === first ? this.#oneLabel.get(rest) : undefined);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function addFirst(names: Map<string, number>, name: string, pair: number): void {
  if (!names.has(name)) names.set(name, pair);
}

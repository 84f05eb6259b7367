import { X509Certificate } from 'node:crypto';
import type { TlsFacts, TlsServer } from 'mproxy-net';
import { pairFor, sitePairFor } from 'mproxy-net/tls-names';

type SitesTls = Pick<TlsServer, 'pairs' | 'clientCa' | 'strictNames'>;

/** A certificate and who may use it: hosts that share both are one site. */
interface Site {
  certificate: Buffer;
  clientCa: string | undefined;
}

/** The sites of TLS listeners, by which a request belongs to a connection or not. */
export class Sites {
  /** Changes with the certificates: what was decided before is void. */
  generation = 0;
  #tls!: SitesTls;
  /** By the number of the pair. */
  #sites!: Site[];

  constructor(tls: SitesTls) {
    this.use(tls);
  }

  /** Uses the same pairs with other certificates. */
  use(tls: SitesTls): void {
    const known: Site[] = [];
    this.generation++;
    this.#tls = tls;
    this.#sites = tls.pairs.map(({ cert, clientCa = tls.clientCa }) => {
      const certificate = new X509Certificate(cert).raw;
      const same = known.find((one) => one.clientCa === clientCa && one.certificate.equals(certificate));
      const site = same ?? { certificate, clientCa };
      if (!same) known.push(site);
      return site;
    });
  }

  /**
   * Whether requests for a host may come over a connection: not, if the host belongs to another site than the connection's server name.
   * Without that, or with one that no certificate has, it is refused only where the host's site wants client certificates. A client that
   * was verified by other authorities than those that its site has now is not one of its clients any more.
   * @param host lower case, without port
   */
  accepts(host: string, { serverName, pair, clientCa }: TlsFacts): boolean {
    const { pairs, strictNames } = this.#tls;
    const asked = serverName === undefined ? undefined : pairFor(pairs, serverName);
    const found = sitePairFor(pairs, host);
    // With strict names, nobody can connect for a host that no pair has; else the first is for those.
    if (found === undefined && strictNames) return false;
    const site = this.#sites[found ?? 0]!;
    if (site === this.#sites[pair ?? 0] && (site.clientCa === undefined || site.clientCa === clientCa))
      return true;
    return asked === undefined && site.clientCa === undefined;
  }
}

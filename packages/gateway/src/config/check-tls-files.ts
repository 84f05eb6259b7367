import { MproxyError } from 'mproxy-base';
import { readCredentials } from 'mproxy-net/tls';
import { certificateNames, pairFor, sitePairFor } from 'mproxy-net/tls-names';
import type { Place } from 'mproxy-service/config-place';

import { type Identity, readIdentity } from '../tls-files.js';
import { credentialFiles } from '../upstream-credentials.js';
import type { GatewayConfig } from './types.js';

/** Reports what is wrong with the files of TLS, and with what they say. */
export function checkTlsFiles(config: GatewayConfig, document: Place): void {
  const report = (place: string, problem: string) => document.reportAt(place, problem);
  const identities = config.certificates.map((one) => readIdentity(one, report));
  if (identities.every((one) => one !== undefined)) {
    checkHosts(config, identities, document);
    checkRouteHosts(config, identities, document);
    checkWildcards(config, identities, document);
  }
  checkUpstreams(config, document);
}

/** Hosts are names of their certificate, and of no other. */
function checkHosts({ certificates }: GatewayConfig, identities: Identity[], document: Place): void {
  const owners = new Map<string, string>();
  for (const [i, { place, hosts }] of certificates.entries()) {
    const names = hosts ?? certificateNames(identities[i]!.certificate);
    const before = names.map((name) => owners.get(name));
    for (const [j, name] of (hosts ?? []).entries()) {
      const at = `${place}.hosts[${j}]`;
      if (pairFor([{ cert: identities[i]!.pair.cert }], sampleOf(name)) === undefined)
        document.reportAt(at, `${JSON.stringify(name)}: the certificate has no such name`);
      else if (before[j] !== undefined)
        document.reportAt(at, `${JSON.stringify(name)}: ${before[j]} has it, too`);
    }
    if (!hosts && names.length > 0 && before.every((owner) => owner !== undefined))
      document.reportAt(place, `it is never used: ${before[0]} has ${names[0]}, too; give hosts`);
    for (const name of names) if (!owners.has(name)) owners.set(name, place);
  }
}

/** A host that is reached by TLS alone needs a certificate. */
function checkRouteHosts({ listen, routes }: GatewayConfig, identities: Identity[], document: Place): void {
  if (listen.some(({ tls }) => !tls)) return;
  const pairs = identities.map(({ pair }) => pair);
  for (const { place, host } of routes)
    if (host !== undefined && !host.startsWith('[') && pairFor(pairs, sampleOf(host)) === undefined)
      document.reportAt(`${place}.host`, `${JSON.stringify(host)}: no certificate has this name`);
}

/**
 * A route for *.example.com is for one kind of clients: a host among them whose certificate has other authorities of clients needs a route
 * of its own. Else whoever may see that host sees what the route is for.
 */
function checkWildcards(
  { certificates, routes }: GatewayConfig,
  identities: Identity[],
  document: Place,
): void {
  const pairs = identities.map(({ pair }) => pair);
  const caOf = (i: number | undefined) => pairs[i ?? 0]!.clientCa;
  const own = new Set(routes.map(({ host }) => host?.toLowerCase()));
  for (const { place, host } of routes) {
    if (!host?.startsWith('*.')) continue;
    const rest = host.slice(1).toLowerCase();
    const ca = caOf(sitePairFor(pairs, sampleOf(host)));
    for (const [i, { place: at, hosts }] of certificates.entries()) {
      const names = hosts ?? certificateNames(identities[i]!.certificate);
      const other = names.find((name) => name !== host && name.endsWith(rest) && !own.has(name));
      if (other !== undefined && caOf(sitePairFor(pairs, sampleOf(other))) !== ca)
        document.reportAt(
          `${place}.host`,
          `${JSON.stringify(host)}: ${other} of ${at} has other authorities of clients; give it a route of its own`,
        );
    }
  }
}

/** A name that a host like *.example.com stands for; one of more labels may be another certificate's. */
function sampleOf(host: string): string {
  return host.replace(/^\*\./, 'any.');
}

function checkUpstreams({ routes }: GatewayConfig, document: Place): void {
  for (const { place, target } of routes) {
    const files = credentialFiles(target);
    if (!files) continue;
    try {
      readCredentials(files);
    } catch (error) {
      if (!(error instanceof MproxyError)) throw error;
      document.reportAt(place, error.message);
    }
  }
}

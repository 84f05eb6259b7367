import type { Place } from 'mproxy-service/config-place';
import { certificatesOf, listenersOf, type Read } from './listeners-of.js';
import type { CertificateConfig } from './types.js';

/** Reports what is wrong between the keys of TLS, once each of a document is right. The files are another matter: check-tls-files.ts. */
export function checkTls(values: Read, document: Place): void {
  if (document.problemCount > 0) return;
  const certificates = certificatesOf(values, document);
  const listeners = listenersOf(values, document);
  const secure = listeners.filter(({ tls }) => tls);
  if (values.tls?.enabled && values.port === undefined) {
    document.key('tls').report('without host and port it has no effect');
    return;
  }
  for (const { place } of secure)
    if (certificates.length === 0) document.reportAt(place, 'TLS needs a certificate; give certificates');
  if (values.httpsPort !== undefined && !values.httpsRedirection)
    document.key('https_port').report('without https_redirection it has no effect');
  if (secure.length > 0) checkRedirection(values, listeners.length - secure.length, document);
  else checkUnused(values, certificates, document);
  if (values.clientCertificate && !certificates.some(({ clientCaFile }) => clientCaFile !== undefined))
    document.key('client_certificate').report('no certificate has a client_ca_file');
}

/** @param plain how many listeners have no TLS */
function checkRedirection({ httpsRedirection }: Read, plain: number, document: Place): void {
  if (httpsRedirection && plain === 0)
    document.key('https_redirection').report('there is no listener without TLS');
}

/** Without a TLS listener. */
function checkUnused(values: Read, certificates: CertificateConfig[], document: Place): void {
  const { httpsRedirection, hsts, strictSni, ignoreSniConsistency } = values;
  const why = 'there is no listener with TLS';
  for (const { place } of certificates) document.reportAt(place, why);
  const given = {
    ...{ https_redirection: httpsRedirection, hsts: hsts !== undefined, strict_sni: strictSni },
    ignore_sni_consistency: ignoreSniConsistency,
  };
  for (const [key, isGiven] of Object.entries(given)) if (isGiven) document.key(key).report(why);
}

import { X509Certificate } from 'node:crypto';

/** Where a certificate begins (RFC 7468, section 5.1; PEM_read_bio_X509(3ossl)). */
const BEGIN = /(?=-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----)/;

/**
 * All certificates of a PEM text. Node and OpenSSL by itself read up to the first one that is damaged, and say nothing.
 * @throws the error of OpenSSL, if one is invalid, or there is none
 */
export function readCertificates(pem: string): [X509Certificate, ...X509Certificate[]] {
  const [first = pem, ...others] = pem.split(BEGIN).filter((part) => part.startsWith('-----BEGIN '));
  return [new X509Certificate(first), ...others.map((part) => new X509Certificate(part))];
}

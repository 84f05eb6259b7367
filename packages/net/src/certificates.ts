import { X509Certificate } from 'node:crypto';

/** Where a certificate begins (RFC 7468, section 5.1; PEM_read_bio_X509(3ossl)). */
const BEGIN = /(?=-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----)/;

/**
 * All certificates of a PEM text. By themselves, Node reads the first one alone, and OpenSSL stops at one that is damaged; neither reports it.
 * @throws the error of OpenSSL, if one is invalid, or there is none
 */
export function readCertificates(pem: string): [X509Certificate, ...X509Certificate[]] {
  const [first = pem, ...others] = pem.split(BEGIN).filter((part) => part.startsWith('-----BEGIN '));
  return [new X509Certificate(first), ...others.map((part) => new X509Certificate(part))];
}

/** Whether it is not valid any more. */
export function isExpired({ validTo }: X509Certificate): boolean {
  return Date.parse(validTo) < Date.now();
}

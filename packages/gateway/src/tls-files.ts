import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { reason } from 'mproxy-base';
import type { TlsPair } from 'mproxy-net';
import { readCertificates } from 'mproxy-net/certificates';
import type { CertificateConfig } from './config/types.js';

/** Takes what is wrong with a file. @param place `certificates[0].key_file`, or the flag that gives the certificate */
export type ReportFile = (place: string, problem: string) => void;

/** A certificate with its key, as they are read. */
export interface Identity {
  pair: TlsPair;
  certificate: X509Certificate;
}

/** Reads a certificate, its key, and the authorities of its clients. @returns undefined: something is wrong, and reported */
export function readIdentity(config: CertificateConfig, report: ReportFile): Identity | undefined {
  const { place, certFile, keyFile, hosts, clientCaFile } = config;
  const file = <T>(key: string, name: string, expected: string, parse: (pem: string) => T) =>
    parsed(name, parse, expected, (problem) => report(placeOf(place, key), problem));
  const certificate = file('cert_file', certFile, 'a certificate in PEM', (pem) => readCertificates(pem)[0]);
  const key = file('key_file', keyFile, 'a private key in PEM without a passphrase', createPrivateKey);
  const authorities =
    clientCaFile === undefined
      ? undefined
      : file('client_ca_file', clientCaFile, 'certificates in PEM', readCertificates);
  if (!certificate || !key || (clientCaFile !== undefined && !authorities)) return undefined;
  const pair: TlsPair = {
    ...{ cert: certificate.pem, key: key.pem },
    ...(hosts && { names: hosts }),
    ...(authorities && { clientCa: authorities.pem }),
  };
  const problem = pairProblem(certificate.value, key.value, pair);
  if (problem === undefined) return { pair, certificate: certificate.value };
  report(placeOf(place, 'key_file'), `${JSON.stringify(keyFile)}: ${problem}`);
  return undefined;
}

/** What a flag gives has the place of the flag. */
function placeOf(place: string, key: string): string {
  return place.startsWith('--') ? place : `${place}.${key}`;
}

function parsed<T>(
  file: string,
  parse: (pem: string) => T,
  expected: string,
  report: (problem: string) => void,
): { pem: string; value: T } | undefined {
  const text = JSON.stringify(file);
  let pem: string;
  try {
    pem = readFileSync(file, 'latin1');
  } catch (error) {
    report(`${text}: ${reason(error)}`);
    return undefined;
  }
  try {
    return { pem, value: parse(pem) };
  } catch {
    // OpenSSL reports the last of the encodings that it tried, which says nothing of the file.
    report(`${text}: expected ${expected}`);
    return undefined;
  }
}

/** Why a listener cannot use a certificate with this key. */
function pairProblem(certificate: X509Certificate, key: KeyObject, pair: TlsPair): string | undefined {
  if (!certificate.checkPrivateKey(key)) return 'it is the key of another certificate';
  try {
    const { cert, clientCa } = pair;
    createSecureContext({ cert, key: pair.key, ...(clientCa !== undefined && { ca: clientCa }) });
    return undefined;
  } catch (error) {
    return reason(error);
  }
}

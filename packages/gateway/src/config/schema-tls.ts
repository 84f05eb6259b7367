import { integer, list, object, parsed, path, toggle } from 'mproxy-service/config-keys';
import type { Place } from 'mproxy-service/config-place';
import type { Key, ValuesOf } from 'mproxy-service/config-table';
import { fieldName } from 'mproxy-service/layers/field-keys';
import { HOST, readHost } from './patterns.js';
import { checkTwice } from './schema-route.js';
import type { CertificateConfig } from './types.js';

/** ZProxy's. */
export const TLS = {
  enabled: toggle({ default: false, help: 'whether host and port have TLS' }),
  certFile: path({ nullable: true, help: 'the first of the certificates; without enabled it has no effect' }),
  keyFile: path({ nullable: true, help: 'its key; without enabled it has no effect' }),
  clientCaFile: path({
    nullable: true,
    help: 'its clients need a certificate of these authorities; without enabled it has no effect',
  }),
};

export function checkTlsKeys({ enabled, certFile, keyFile }: ValuesOf<typeof TLS>, place: Place): void {
  if (!enabled) return;
  const missing = 'it is missing; expected a path';
  if (certFile === undefined) place.key('cert_file').report(missing);
  if (keyFile === undefined) place.key('key_file').report(missing);
}

const CERTIFICATE = {
  certFile: path({ required: true, help: 'a certificate as PEM, the chain behind it' }),
  keyFile: path({ required: true, help: 'its key as PEM' }),
  hosts: list(
    parsed({ help: 'a host', expected: HOST }, readHost),
    { help: 'the hosts that it serves, each a name of it; default all of its names' },
    1,
  ),
  clientCaFile: path({ help: 'clients of these hosts need a certificate of these authorities' }),
};

const plainCertificate = object(CERTIFICATE, {
  help: 'a certificate',
  expected: 'an object with cert_file and key_file',
  required: true,
});

/** A certificate, which knows its place. */
const certificate: Key<CertificateConfig> = {
  ...plainCertificate,
  read(given: unknown, place: Place) {
    const values = plainCertificate.read(given, place);
    if (values?.hosts) checkTwice(values.hosts, place.key('hosts'), 'the same host as');
    return values && { ...values, place: place.name };
  },
};

/** For how long browsers may list a host at least, in seconds (https://hstspreload.org). */
const PRELOAD_AGE = 31_536_000;

const HSTS = {
  maxAge: integer(0, 2 ** 31 - 1, {
    default: PRELOAD_AGE,
    help: 'for so many seconds browsers use https alone; 0: they forget it',
  }),
  includeSubdomains: toggle({ default: false, help: 'the same for all names below the host' }),
  preload: toggle({ default: false, help: 'browsers may have the host in a list of their own' }),
};

function checkHsts({ maxAge, includeSubdomains, preload }: ValuesOf<typeof HSTS>, place: Place): void {
  if (preload && (!includeSubdomains || maxAge < PRELOAD_AGE))
    place.key('preload').report(`it needs include_subdomains, and a max_age of at least ${PRELOAD_AGE}`);
}

const CLIENT_CERTIFICATE = {
  subjectField: fieldName({ help: 'the field that has its subject (RFC 4514): CN=client,O=Example' }),
  fingerprintField: fieldName({ help: 'the field that has its SHA-256 fingerprint, in hexadecimal' }),
};

function checkClientCertificate(values: ValuesOf<typeof CLIENT_CERTIFICATE>, place: Place): void {
  const { subjectField, fingerprintField } = values;
  if (subjectField === undefined && fingerprintField === undefined)
    place.report('it says nothing; give subject_field or fingerprint_field');
  else if (subjectField?.toLowerCase() === fingerprintField?.toLowerCase())
    place.key('fingerprint_field').report('subject_field is the same field');
}

/** TLS of listeners. */
export const SECURITY = {
  certificates: list(certificate, {
    default: [],
    help: 'certificates of TLS listeners; the first is also for hosts that none has',
  }),
  strictSni: toggle({
    default: false,
    help: 'refuse TLS handshakes without the name of a host that a certificate has',
  }),
  ignoreSniConsistency: toggle({
    default: false,
    help: 'do not answer with 421 where Host belongs to another certificate, or other authorities of clients, than the name of the TLS handshake',
  }),
  httpsRedirection: toggle({
    default: false,
    help: 'listeners without TLS redirect to the first one with TLS: 308',
  }),
  httpsPort: integer(1, 65535, {
    help: 'the port that https_redirection redirects to; default that of the listener, which may not be the one that clients use',
  }),
  hsts: object(HSTS, { help: 'Strict-Transport-Security in responses over TLS' }, checkHsts),
  clientCertificate: object(
    CLIENT_CERTIFICATE,
    { help: 'send what is known of the certificate of a client upstream' },
    checkClientCertificate,
  ),
};

import type { X509Certificate } from 'node:crypto';

/** The host names of a certificate, lower case: those of subjectAltName (RFC 6125, section 6.4.4), else its common name. */
export function certificateNames({ subjectAltName, subject }: X509Certificate): string[] {
  const names = [...(subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^,"]+)/g)].map(([, name]) => name!);
  const common = /^CN=(.+)$/m.exec(subject)?.[1];
  const all = names.length === 0 && common !== undefined ? [common] : names;
  return all.map((name) => name.toLowerCase());
}

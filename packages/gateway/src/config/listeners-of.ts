import type { Place } from 'mproxy-service/config-place';
import { readListenAddress } from './addresses.js';
import type { DocumentValues } from './schema.js';
import type { CertificateConfig, ListenConfig } from './types.js';

/** Values of a document; those that are wrong are undefined. */
export type Read = Partial<DocumentValues>;

/** The listener of ports that hosts name, if no other is given (as that of fbi-proxy). */
const PORT_ENCODING_LISTENER = '127.0.0.1:24306';
const ANY_HOST = '0.0.0.0';

/** All listeners: that of host and port first. */
export function listenersOf(
  { host, port, tls, listen = [], portEncoding }: Read,
  document: Place,
): ListenConfig[] {
  const listener = (text: string, place: Place): ListenConfig[] => {
    const address = readListenAddress(text, place);
    return address ? [{ place: place.name, ...address, proxyProtocol: false }] : [];
  };
  if (port !== undefined) {
    const isBare = host?.includes(':') && !host.startsWith('[');
    const text = `${isBare ? `[${host}]` : (host ?? ANY_HOST)}:${port}`;
    const own = listener(text, document.key(host === undefined ? 'port' : 'host'));
    return [...own.map((one) => ({ ...one, tls: tls?.enabled === true })), ...listen];
  }
  if (listen.length > 0 || !portEncoding) return listen;
  return listener(PORT_ENCODING_LISTENER, document.key('port_encoding'));
}

/** All certificates: that of host and port first. */
export function certificatesOf({ tls, certificates = [] }: Read, document: Place): CertificateConfig[] {
  const { enabled, certFile, keyFile, clientCaFile } = tls ?? {};
  if (!enabled || certFile === undefined || keyFile === undefined) return certificates;
  const place = document.key('tls').name;
  return [{ place, certFile, keyFile, hosts: undefined, clientCaFile }, ...certificates];
}

import { flagNames, text, texts, toggle, usage } from 'mproxy-base';

/** Flags of TLS connections: whom they trust. */
export const TLS_TRUST = {
  tlsCa: text({ value: 'FILE', help: "trust these authorities instead of the system's" }),
  tlsServername: text(
    { value: 'NAME', help: "ask for and verify this name instead of the host's" },
    checkServerName,
  ),
  tlsInsecure: toggle({ help: 'do not verify the other side' }),
};

/** Flags of TLS connections: what they present. */
export const TLS_IDENTITY = {
  tlsCert: text({ value: 'FILE', help: 'client certificate to present' }),
  tlsKey: text({ value: 'FILE', help: 'its private key' }),
};

/** Flags of TLS connections. */
export const TLS_CLIENT = { ...TLS_TRUST, ...TLS_IDENTITY };

/** Flags of `tls://` listeners. */
export const TLS_SERVER = {
  tlsCert: texts({ value: 'FILE', help: 'certificate of the tls:// listeners; may repeat (SNI)' }),
  tlsKey: texts({ value: 'FILE', help: 'its key; the n-th goes with the n-th certificate' }),
  tlsClientCa: text({ value: 'FILE', help: 'require client certificates from these authorities' }),
};

/** The flags as the user writes them, for messages; those of both tables have one name. */
export const TLS_NAMES = flagNames({ TLS_CLIENT, TLS_SERVER });

/** @throws MPROXY_USAGE for what a certificate would not be compared with as a whole (X509_check_host(3)) */
function checkServerName(flag: string, name: string): void {
  if (name.startsWith('.') || name.includes('\0')) throw usage(flag, name, 'not the name of a host');
}

/** Checks the certificates of TLS listeners: each needs its key. @throws MPROXY_USAGE */
export function checkPairs({ tlsCert = [], tlsKey = [] }: { tlsCert?: string[]; tlsKey?: string[] }): void {
  const { tlsCert: cert, tlsKey: key } = TLS_NAMES;
  if (tlsCert.length === 0) throw usage(cert, 'missing', 'a tls:// listener needs a certificate and its key');
  if (tlsCert.length !== tlsKey.length)
    throw usage(key, 'missing or too many', `${tlsCert.length} ${cert} need as many ${key}`);
}

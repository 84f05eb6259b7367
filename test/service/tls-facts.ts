import type { TlsFacts } from 'mproxy-net';

/** What a handshake agreed upon, as a server knows it. */
export function factsOf(facts: Partial<TlsFacts> = {}): TlsFacts {
  return {
    ...{ version: 'TLSv1.3', serverName: undefined, alpn: undefined, resumed: false },
    ...{ peerCertificate: undefined, pair: 0, clientCa: undefined },
    ...facts,
  };
}

import { CONNECT_MS } from '../../stream-defaults.js';
import type { StreamOpeners } from '../../stream-openers.js';
import type { Connection, ConnectOptions, TlsClient } from '../../streams.js';
import { threadTicketKeys } from '../tls/thread-keys.js';
import { Tls } from '../tls/tls.js';
import { Listener } from './listener.js';
import type { StreamParts } from './parts.js';
import { connectPlain } from './streams.js';
import { upgrade } from './upgrade.js';

/** Opens stream sockets with TLS on the loop of a thread. @throws where this Node does not export OpenSSL 3 */
export function secureOpeners(parts: StreamParts): StreamOpeners {
  const tls = new Tls(parts.libc, threadTicketKeys());
  parts.tls = tls;
  return {
    listen: async (options) => new Listener(parts, options),
    connect: async (options) => connectSecurely(parts, tls, options, options.tls!),
    secure: (fd, client, options) => upgrade(parts, tls, fd, client, options),
  };
}

async function connectSecurely(
  parts: StreamParts,
  tls: Tls,
  { timeout = CONNECT_MS, ...options }: ConnectOptions,
  client: TlsClient,
): Promise<Connection> {
  // Invalid credentials are found before anything is opened.
  tls.client(client.credentials);
  const until = performance.now() + timeout;
  const plain = await connectPlain(parts, { ...options, timeout });
  const left = Math.max(1, until - performance.now());
  return plain.secure(client, { timeout: left, ...(options.signal && { signal: options.signal }) });
}

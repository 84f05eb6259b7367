import type { Connection, ConnectOptions, Streams, TlsClient } from './streams.js';

/** What opens stream sockets. */
export interface StreamOpeners extends Pick<Streams, 'listen' | 'connect'> {
  /** Starts TLS on a connected descriptor, which it takes (see {@link Connection.secure}). */
  secure(
    fd: number,
    tls: TlsClient,
    options: Pick<ConnectOptions, 'timeout' | 'signal'>,
  ): Promise<Connection>;
}

/** Openers whose modules are loaded when the first socket is opened. */
export function loadedLater(load: () => Promise<StreamOpeners>): StreamOpeners {
  let loading: Promise<StreamOpeners> | undefined;
  const openers = () => {
    loading ??= load();
    return loading;
  };
  return {
    listen: async (options) => (await openers()).listen(options),
    connect: async (options) => (await openers()).connect(options),
    secure: async (fd, tls, options) => (await openers()).secure(fd, tls, options),
  };
}

import { closeSync } from 'node:fs';
import type { TlsClient, TlsServer } from 'mproxy-net';
import { ERRNO } from 'mproxy-net/linux/errno';
import { loadKoffi } from 'mproxy-net/linux/installed';
import type { Libc } from 'mproxy-net/linux/libc';
import { ClientContext } from 'mproxy-net/linux/tls/client-context';
import type { Openssl } from 'mproxy-net/linux/tls/openssl';
import type { TlsChannel } from 'mproxy-net/linux/tls/secure-channel';
import { ServerContext } from 'mproxy-net/linux/tls/server-context';
import type { SessionTickets } from 'mproxy-net/linux/tls/tickets';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
/** Turns of a handshake with both ends in one thread, at most. */
const TURNS = 10;

let socketpair: ((domain: number, type: number, protocol: number, fds: Buffer) => number) | undefined;

/** Two non-blocking descriptors that are connected (socketpair(2)). */
export function connectedPair(): [number, number] {
  socketpair ??= loadKoffi().load(null).func('int socketpair(int, int, int, void *)') as typeof socketpair;
  const fds = Buffer.alloc(8);
  if (socketpair!(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) !== 0) throw new Error('socketpair failed');
  return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

/** Both contexts of connections whose ends are in this thread. */
export class Contexts {
  readonly server: ServerContext;
  readonly client: ClientContext;

  constructor(
    parts: { ssl: Openssl; libc: Libc; tickets: SessionTickets },
    tls: TlsServer,
    private readonly asked: TlsClient,
  ) {
    this.server = new ServerContext(parts.ssl, parts.libc, tls, parts.tickets);
    this.client = new ClientContext(parts.ssl, parts.libc, asked.credentials);
  }

  /** Both ends of a new connection, with the handshake finished. */
  connect([a, b]: [number, number]): { server: TlsChannel; client: TlsChannel } {
    const server = this.server.accept(a);
    const client = this.client.connect(b, this.asked, 'pair');
    const waits = new Set([client, server]);
    for (let turn = 0; waits.size > 0; turn++) {
      if (turn === TURNS) throw new Error('the handshake does not end');
      for (const channel of waits) {
        const result = channel.handshake();
        if (result === 0) waits.delete(channel);
        else if (result !== -ERRNO.EAGAIN) throw channel.error ?? new Error(`errno ${-result}`);
      }
    }
    return { server, client };
  }

  free(): void {
    this.server.free();
    this.client.free();
  }
}

export function closePair(fds: [number, number]): void {
  for (const fd of fds) closeSync(fd);
}

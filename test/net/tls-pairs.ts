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
import type { Test } from 'tap';
import { identity } from './tls-channels.js';

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
    private readonly parts: { ssl: Openssl; libc: Libc; tickets: SessionTickets },
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

  /** One connection after another, each freed after its handshake. @returns how many were resumed */
  connectAgain(count: number): number {
    const { libc } = this.parts;
    const memory = Buffer.allocUnsafeSlow(1024);
    const fds = connectedPair();
    let resumed = 0;
    for (let i = 0; i < count; i++) {
      const { server, client } = this.connect(fds);
      // The tickets: what is left in the socket would be read by the next connection.
      if (client.receive(libc.address(memory), memory.length) !== -ERRNO.EAGAIN) throw new Error('bytes');
      if (server.facts.resumed) resumed++;
      server.free();
      client.free();
      // Nothing happens: the count of open objects would be below 0.
      client.free();
    }
    closePair(fds);
    return resumed;
  }

  free(): void {
    this.server.free();
    this.client.free();
  }
}

/** Two names, and a client that is verified, too. */
export async function credentials(t: Test) {
  const { authority, own } = await identity(t);
  const mine = await authority.sign({ dns: ['me.test'] });
  const tls = {
    pairs: [own, await authority.sign({ dns: ['two.test'] })],
    clientCa: authority.pem,
    alpn: ['echo'],
  };
  const trust = {
    credentials: { ca: authority.pem, pair: mine },
    serverName: 'two.test',
    insecure: false,
    alpn: ['echo'],
  };
  return { authority, own, tls, trust };
}

/** What makes an object, or takes a reference, and what gives it back. */
export const COUNTED = [
  ['SSL_new', 'SSL_free'],
  ['SSL_CTX_new', 'SSL_CTX_free'],
  ['BIO_new_mem_buf', 'BIO_free'],
  ['PEM_read_bio_X509', 'X509_free'],
  ['PEM_read_bio_PrivateKey', 'EVP_PKEY_free'],
] as const;

/** OpenSSL, with a count of the objects of each kind that are not freed. */
export function counting(ssl: Openssl): { ssl: Openssl; open: Map<string, number> } {
  const counted = { ...ssl };
  const open = new Map<string, number>();
  for (const [make, free] of COUNTED) {
    open.set(make, 0);
    const add = (more: number) => open.set(make, open.get(make)! + more);
    counted[make] = (...values) => {
      const address = ssl[make](...values);
      if (address !== 0) add(1);
      return address;
    };
    counted[free] = (...values) => {
      add(-1);
      return ssl[free](...values);
    };
  }
  return { ssl: counted, open };
}

export function closePair(fds: [number, number]): void {
  for (const fd of fds) closeSync(fd);
}

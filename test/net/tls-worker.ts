import { parentPort, workerData } from 'node:worker_threads';
import type { TlsFacts, TlsServer } from 'mproxy-net';
import { ERRNO } from 'mproxy-net/linux/errno';
import { loadLibc } from 'mproxy-net/linux/libc';
import { Loop } from 'mproxy-net/linux/loop';
import { loadOpenssl } from 'mproxy-net/linux/tls/openssl';
import { ServerContext } from 'mproxy-net/linux/tls/server-context';
import { TicketKeys, type TicketSeed } from 'mproxy-net/linux/tls/ticket-keys';
import { SessionTickets } from 'mproxy-net/linux/tls/tickets';

/** A worker that serves one connection after another: greets it, and echoes until its end, in a synchronous loop. */
export interface Task {
  tls: TlsServer;
  seed: TicketSeed;
}

/** What it reports of each connection. */
export type Served = TlsFacts | { code: string };

const TIMEOUT_MS = 5000;
const { tls, seed } = workerData as Task;
const ssl = loadOpenssl();
const libc = loadLibc();
const context = new ServerContext(ssl, libc, tls, new SessionTickets(ssl, new TicketKeys(seed)));
const memory = Buffer.allocUnsafeSlow(64 * 1024);
const iovec = Buffer.allocUnsafeSlow(128);

parentPort!.on('message', (fd: number) => parentPort!.postMessage(serve(fd)));
parentPort!.postMessage('ready');

function serve(fd: number): Served {
  const channel = context.accept(fd);
  const loop = new Loop(libc);
  let readable = true;
  loop.add(fd, () => {
    readable = true;
  });
  const finish = (call: () => number): number => {
    for (;;) {
      const result = call();
      if (result >= 0) return result;
      if (result !== -ERRNO.EAGAIN) throw channel.error ?? new Error(`errno ${-result}`);
      readable = false;
      loop.turn(TIMEOUT_MS);
      if (!readable) throw new Error('nothing comes');
    }
  };
  try {
    finish(() => channel.handshake());
    const { facts } = channel;
    for (;;) {
      const length = finish(() => channel.receive(libc.address(memory), memory.length));
      if (length === 0) break;
      iovec.writeBigUInt64LE(libc.address(memory), 0);
      iovec.writeBigUInt64LE(BigInt(length), 8);
      finish(() => channel.send(libc.address(iovec), 1));
    }
    finish(() => channel.finish());
    return facts;
  } catch (error) {
    // A structured clone of an error has no code.
    return { code: (error as NodeJS.ErrnoException).code ?? (error as Error).message };
  } finally {
    loop.remove(fd);
    loop.close();
    channel.free();
  }
}

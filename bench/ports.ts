import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 5000;
const LISTENING = '0A';

export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

export async function freeTcpPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

/** How many UDP sockets are bound to a port of IPv4, as proc(5) has them. */
export function udpSockets(port: number): number {
  return sockets('udp', port).length;
}

/** Whether a TCP port has a listener, and that has accepted all who connected. */
export function isListening(port: number): boolean {
  const listener = sockets('tcp', port).find(({ state }) => state === LISTENING);
  return listener?.waiting === 0;
}

function sockets(protocol: 'udp' | 'tcp', port: number): { state: string; waiting: number }[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync(`/proc/net/${protocol}`, 'utf8').trim().split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local]) => local?.endsWith(wanted))
    .map(([, , , state, queues]) => ({
      state: state ?? '',
      waiting: Number.parseInt(queues?.split(':')[1] ?? '', 16),
    }));
}

/** Waits for a condition; `failed` ends it early. */
export async function until(
  what: string,
  condition: () => boolean,
  failed?: () => string | false,
): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!condition()) {
    const why = failed?.();
    if (why) throw new Error(why);
    if (performance.now() > end) throw new Error(`no ${what} within ${PATIENCE_MS / 1000} s`);
    await sleep(10);
  }
}

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const TIMEOUT_MS = 5000;
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

/**
 * Number of UDP sockets bound to an IPv4 port (proc_pid_net(5)).
 * @param pid process whose network namespace is examined; default this one
 */
export function udpSockets(port: number, pid?: number): number {
  return sockets('udp', port, pid).length;
}

/**
 * Whether a TCP port has a listener that has accepted all connections.
 * @param pid process whose network namespace is examined; default this one
 */
export function isListening(port: number, pid?: number): boolean {
  const listener = sockets('tcp', port, pid).find(({ state }) => state === LISTENING);
  return listener?.waiting === 0;
}

function sockets(protocol: 'udp' | 'tcp', port: number, pid?: number): { state: string; waiting: number }[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = table(`/proc/${pid ?? 'self'}/net/${protocol}`)
    .trim()
    .split('\n')
    .slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local]) => local?.endsWith(wanted))
    .map(([, , , state, queues]) => ({
      state: state ?? '',
      waiting: Number.parseInt(queues?.split(':')[1] ?? '', 16),
    }));
}

/** Empty for an ended process: a zombie has no network namespace. */
function table(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'EINVAL', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** Waits for a condition. A reason from `failed` ends the wait early. */
export async function until(
  what: string,
  condition: () => boolean,
  failed?: () => string | false,
  limit = TIMEOUT_MS,
): Promise<void> {
  const end = performance.now() + limit;
  while (!condition()) {
    const why = failed?.();
    if (why) throw new Error(why);
    if (performance.now() > end) throw new Error(`no ${what} within ${limit / 1000} s`);
    await sleep(10);
  }
}

import { failure, reason, type SocketAddress, showAddress } from 'mproxy-base';
import type { Program } from 'mproxy-flow';
import { ADDRESS_SKIPPED } from 'mproxy-flow/events';
import type { ListenAddress as At, SharedSocket, Streams } from 'mproxy-net';
import { lookUp } from 'mproxy-net/resolve';
import { isMissing, listenFailure } from 'mproxy-net/socket-errors';
import { removeUnused } from 'mproxy-net/unix-files';
import type { ListenConfig } from './config/types.js';
import { passedDescriptor } from './passed-descriptors.js';

type Told = Pick<Program, 'emit' | 'listening'>;

/** A socket that workers listen on: one of each address of a listener. */
export interface Listening {
  /** The number of its listener in the configuration. */
  listener: number;
  /** As workers open it: the descriptor of {@link socket}, or where there is none, its address. */
  at: At;
  /** Undefined: the engine cannot share it, and its worker opens it. */
  socket?: SharedSocket;
}

/** Addresses of a listener: those that its host has are alternatives, which this machine may lack. */
export interface Resolved {
  listener: number;
  text: string;
  tls: boolean;
  at: At[];
}

/** Resolves names, and finds the descriptors that the service manager passed. @throws MPROXY_RESOLVE, MPROXY_LISTEN */
export function resolveListeners(listen: readonly ListenConfig[], signal: AbortSignal): Promise<Resolved[]> {
  return Promise.all(
    listen.map(async ({ text, tls, at }, listener): Promise<Resolved> => {
      if (at.kind === 'unix') return { listener, text, tls, at: [{ path: at.path }] };
      if (at.kind === 'fd') return { listener, text, tls, at: [{ fd: passedDescriptor(at.fd) }] };
      const answers = await resolve(at.host, text, signal);
      const { port } = at;
      return {
        ...{ listener, text, tls },
        at: answers.map((address) => ({ address, port, ipv6Only: takesNoIpv4(address, port, listen) })),
      };
    }),
  );
}

async function resolve(host: string, text: string, signal: AbortSignal): Promise<string[]> {
  try {
    return host.includes('%') ? [host] : await lookUp(host, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw failure('MPROXY_RESOLVE', 'look-up', text, error, 'check the name, or write an IP address');
  }
}

/** Whether a listener on [::] shares its port with one on 0.0.0.0. */
function takesNoIpv4(address: string, port: number, listen: readonly ListenConfig[]): boolean {
  return (
    address === '::' &&
    listen.some(({ at }) => at.kind === 'tcp' && at.host === '0.0.0.0' && at.port === port)
  );
}

/**
 * Opens the sockets of all listeners, on an engine that can share them.
 * @throws MPROXY_LISTEN; then none is open
 */
export async function openShared(
  resolved: readonly Resolved[],
  { share, backlog, program }: { share: NonNullable<Streams['share']>; backlog: number; program: Told },
): Promise<Listening[]> {
  const open: Listening[] = [];
  try {
    for (const one of resolved) {
      await listenAll(one, program, (at) => {
        const socket = share({ at, backlog });
        open.push({ listener: one.listener, at: { fd: socket.fd }, socket });
        return socket.local;
      });
    }
    return open;
  } catch (error) {
    for (const { socket } of open) socket?.close();
    throw error;
  }
}

/**
 * Listens on all addresses of a listener that this machine has, with one port.
 * @param listen returns the bound address; throws the system's error
 * @throws MPROXY_LISTEN
 */
export async function listenAll(
  { text, tls, at: all }: Omit<Resolved, 'listener'>,
  program: Told,
  listen: (at: At) => SocketAddress | undefined | Promise<SocketAddress | undefined>,
): Promise<void> {
  let port: number | undefined;
  let count = 0;
  for (const at of all) {
    const exact = 'address' in at ? { ...at, port: port ?? at.port } : at;
    try {
      if ('path' in exact) await removeUnused(exact.path);
      const local = await listen(exact);
      port = local?.port;
      // The address as it was resolved, with its zone; a bound one has none.
      const bound = 'address' in exact && local ? { address: exact.address, port: local.port } : local;
      program.listening(
        { transport: tls ? 'https' : 'http', local: bound ? showAddress(bound) : text },
        bound,
      );
      count++;
    } catch (error) {
      if (!isMissing(error) || all.length === 1 || !('address' in at)) throw failed(text, exact, error);
      program.emit(ADDRESS_SKIPPED, { listener: text, address: at.address, reason: reason(error) });
    }
  }
  if (count === 0)
    throw failure('MPROXY_LISTEN', 'listening', text, 'none of its answers is an address of this host');
}

function failed(text: string, at: At, error: unknown): Error {
  if ('address' in at) return listenFailure({ text, port: at.port, keys: {} }, error);
  const why =
    'fd' in at && (error as NodeJS.ErrnoException).code === 'EINVAL' ? 'it is no listening socket' : error;
  const advice =
    'path' in at && (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      ? 'another program listens there, or it is no socket'
      : '';
  return failure('MPROXY_LISTEN', 'listening', text, why, advice);
}

import { failure, showMemory } from 'mproxy-base';
import type { Address } from './address.js';

/** Whether this host lacks a resolved address: a foreign address, or an unknown family or zone. */
export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL';
}

/** The error of a limit in time. */
export function timedOut(text: string): Error {
  return Object.assign(new Error(text), { code: 'ETIMEDOUT' });
}

/** The peer closed, or lost, the connection in the middle: a FIN without close_notify may be an attacker's (RFC 8446, section 6.1). */
export function truncated(): Error {
  return Object.assign(new Error('the connection was closed without close_notify of TLS'), {
    code: 'ECONNRESET',
  });
}

/** The command that shows which process uses a port. */
function portOwnerCommand(port: number): string {
  if (process.platform === 'linux') return `ss -lnp sport = :${port}`;
  return process.platform === 'win32' ? `netstat -ano | findstr :${port}` : `lsof -i :${port}`;
}

/** An error of bind(2) or of joining a group, with advice. @param group the address family of a group */
export function listenFailure(
  address: Pick<Address, 'text' | 'port' | 'keys'>,
  error: unknown,
  group?: 4 | 6,
): Error {
  const advice: Record<string, string> = {
    EACCES: 'ports below 1024 need root or CAP_NET_BIND_SERVICE',
    EADDRINUSE: `see who has it: ${portOwnerCommand(address.port)}`,
    EADDRNOTAVAIL: 'listen on an address of this host, or on 0.0.0.0 or [::]',
  };
  const { code = '' } = error as NodeJS.ErrnoException;
  const shown = (group && groupAdvice(address, group)[code]) ?? advice[code];
  return failure('MPROXY_LISTEN', 'listening', address.text, error, shown);
}

/** Advice by error code if a group cannot be joined. */
function groupAdvice({ port, keys }: Pick<Address, 'port' | 'keys'>, family: 4 | 6): Record<string, string> {
  const sources = family === 4 ? 'net.ipv4.igmp_max_msf' : 'net.ipv6.mld_max_msf';
  const limit = keys.source
    ? `a socket takes so many sources of one group: sysctl ${sources}`
    : 'a socket takes so many groups: sysctl net.ipv4.igmp_max_memberships';
  return {
    EADDRINUSE: `another program has the port and does not share it (SO_REUSEADDR): ss -ulnp sport = :${port}`,
    ENOBUFS: limit,
    ENOMEM: limit,
  };
}

/** How to raise a kernel buffer that was not granted in full (socket(7)). */
export function bufferAdvice(
  asked: number,
  granted: number,
  limit: 'rmem_max' | 'wmem_max' = 'rmem_max',
): string {
  if (granted >= asked || process.platform !== 'linux') {
    return `its buffer is ${showMemory(granted)}; raise it with ${limit === 'rmem_max' ? 'rcvbuf' : 'sndbuf'}=SIZE`;
  }
  return `its buffer is ${showMemory(granted)} of ${showMemory(asked)}: sysctl -w net.core.${limit}=${asked}`;
}

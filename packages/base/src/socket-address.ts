/** An IP address, with its zone if link-local, and a port. IPv4-mapped IPv6 addresses are written as IPv4. */
export interface SocketAddress {
  address: string;
  port: number;
}

/** Formats an address: `127.0.0.1:9920`, `[::1]:9920`. */
export function showAddress({ address, port }: SocketAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

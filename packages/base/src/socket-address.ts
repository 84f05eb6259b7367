/** An IP address, with its zone where it is link-local, and a port. An IPv4-mapped IPv6 address is written as IPv4. */
export interface SocketAddress {
  address: string;
  port: number;
}

/** `127.0.0.1:9920`, `[::1]:9920`. */
export function showAddress({ address, port }: SocketAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

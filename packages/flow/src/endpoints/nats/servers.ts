import type { ServerAddress } from './info.js';

/** Limit on servers that were learned from others. */
const MAX_LEARNED = 256;

/** A server that can be connected to. */
export interface Server extends ServerAddress {
  /** The name that its certificate must have: its own or, where a cluster told its IP address, that of who told it. */
  tlsName: string;
}

/** The servers of a client: those of its address, and those that they named (INFO, connect_urls). */
export class Servers {
  #learned: Server[] = [];

  /** @param configured at least one */
  constructor(private readonly configured: readonly ServerAddress[]) {}

  /** Takes the servers that a server names now; those that no server names any more are forgotten. */
  learn(urls: readonly ServerAddress[], from: Server): void {
    const others = urls.filter((one) => !this.configured.some((known) => isSame(known, one)));
    this.#learned = others.slice(0, MAX_LEARNED).map((one) => ({ ...one, tlsName: from.tlsName }));
  }

  /** All servers in random order, so that clients spread. @param last is tried last */
  round(last?: ServerAddress): Server[] {
    const all = [...this.configured.map((one) => ({ ...one, tlsName: one.host })), ...this.#learned];
    for (let i = all.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    const isLast = (server: Server) => last !== undefined && isSame(server, last);
    return [...all.filter((server) => !isLast(server)), ...all.filter(isLast)];
  }
}

export function isSame(one: ServerAddress, other: ServerAddress): boolean {
  return one.host === other.host && one.port === other.port;
}

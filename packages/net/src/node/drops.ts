import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import type { SocketAddress } from 'mproxy-base';

/**
 * Datagrams that the kernel dropped from one socket because its buffer was full: the `drops` column of
 * /proc/net/udp and udp6 (proc(5)), by inode. Node reveals neither a socket's inode nor its descriptor: the
 * inode is the one that is new in this process since the bind, at that address.
 */
export class KernelDrops {
  readonly #table: string;
  readonly #before: Set<string>;
  #inode: string | undefined;
  #last = 0;
  #total: number | undefined;

  /** To be created before the bind. */
  constructor(family: 4 | 6) {
    this.#table = family === 4 ? '/proc/net/udp' : '/proc/net/udp6';
    this.#before = new Set(readTable(this.#table).map(({ inode }) => inode));
  }

  /** To be called right after the bind. */
  attach({ address, port }: SocketAddress): void {
    const own = ownSockets();
    const rows = readTable(this.#table).filter((row) => own.has(row.inode) && !this.#before.has(row.inode));
    const local = rows.filter(
      (row) => row.port === port && (!isIPv4(address) || row.address === hex(address)),
    );
    this.#inode = local[0]?.inode;
  }

  /** Datagrams dropped so far; undefined without such a table. After a close: the last value read. */
  read(): number | undefined {
    if (this.#inode === undefined) return undefined;
    const row = readTable(this.#table).find(({ inode }) => inode === this.#inode);
    if (row) {
      // The kernel's counter wraps at 2^32 (sk_drops, an int in <net/sock.h>).
      this.#total = (this.#total ?? 0) + ((row.drops - this.#last) >>> 0);
      this.#last = row.drops;
    }
    return this.#total;
  }
}

interface Row {
  address: string;
  port: number;
  inode: string;
  drops: number;
}

function readTable(path: string): Row[] {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return [];
  }
  const lines = text.trimEnd().split('\n').slice(1);
  return lines.map((line) => {
    const column = line.trim().split(/\s+/);
    const [address, port] = column[1]!.split(':');
    return {
      address: address!,
      port: Number.parseInt(port!, 16),
      inode: column[9]!,
      drops: Number(column[12]),
    };
  });
}

/** Inodes of the sockets of this process. */
function ownSockets(): Set<string> {
  const inodes = new Set<string>();
  let names: string[];
  try {
    names = readdirSync('/proc/self/fd');
  } catch {
    return inodes;
  }
  for (const name of names) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${name}`))?.[1];
      if (inode) inodes.add(inode);
    } catch {
      // The directory's own descriptor is closed by now.
    }
  }
  return inodes;
}

/** An IPv4 address as in the table: the big-endian word, read in the machine's byte order, in hexadecimal. */
function hex(address: string): string {
  const bytes = Buffer.from(address.split('.').map(Number));
  const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  return (littleEndian ? bytes.reverse() : bytes).toString('hex').toUpperCase();
}

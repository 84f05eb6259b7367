import { showBytes } from 'mproxy-base';
import type { Chain, HopName } from './chain.js';
import type { Reader } from './reader.js';

/** A hop or reader with its counters. */
export interface Row {
  /** Tree branch before the name. */
  branch: string;
  name: string;
  bytes: number;
  /** Counted only by hops. */
  datagrams?: number;
  note: string;
  /** Whether the note is a success, a failure, or neither. */
  mood: 'good' | 'bad' | 'plain';
}

/** A row, or a line of text between rows. */
export type Part = Row | string;

/** The chain from top to bottom, in the direction of the data. */
export function picture(chain: Chain, finished: boolean): Part[] {
  const hop = (branch: string, name: HopName) => hopRow(chain, branch, name);
  const reader = (branch: string, i: number) => readerRow(chain, branch, chain.readers[i]!, finished);
  return [
    feedLine(chain),
    '│',
    hop('', 'client'),
    `│  UDP to ${chain.entry}`,
    hop('', 'forward'),
    `│  ${chain.middle!.text}`,
    hop('├─ ', 'reverse A'),
    reader('│  ├─ ', 0),
    reader('│  ├─ ', 1),
    hop('│  └─ ', 'server'),
    reader('│     └─ ', 2),
    hop('└─ ', 'reverse B'),
    reader('   ├─ ', 3),
    reader('   ├─ ', 4),
    reader('   └─ ', 5),
  ];
}

function feedLine({ feed, sent }: Chain): string {
  const pace =
    feed.rate < 1e6 ? `${Math.round(feed.rate / 1e3)} kbps` : `${(feed.rate / 1e6).toFixed(1)} Mbps`;
  return `${feed.title}: ${showBytes(feed.size ?? sent.bytes)}, ${feed.size === undefined ? 'at up to' : 'at'} ${pace}`;
}

function hopRow(chain: Chain, branch: string, name: HopName): Row {
  const { datagrams, bytes, failure, losses } = chain.hops.get(name)!;
  const bad = failure ?? (losses.length > 0 ? 'lost data' : undefined);
  const mood = bad ? 'bad' : 'plain';
  return { branch, name: `mproxy-${name}`, bytes, datagrams, note: bad ?? '', mood };
}

function readerRow({ sent }: Chain, branch: string, { name, tally }: Reader, finished: boolean): Row {
  const row: Row = { branch, name, bytes: tally.bytes, note: '', mood: 'plain' };
  if (!finished) return row;
  const difference = tally.difference(sent);
  return { ...row, note: difference ?? 'identical', mood: difference ? 'bad' : 'good' };
}

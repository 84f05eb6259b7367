import type { BlockList } from 'node:net';
import { readFlags } from 'mproxy-base';
import { blockList } from 'mproxy-flow/endpoints/tcp/open';
import { KEYS, type Keys } from 'mproxy-net/keys';
import { networks } from 'mproxy-net/networks';

/** The keys that were given as flags. */
export function readKeys(options: object): Keys {
  const values = Object.entries(readFlags({ KEYS }, options));
  return Object.fromEntries(values.filter(([, value]) => value !== undefined && (value as []).length !== 0));
}

export function readAllow(cidrs: string[] | undefined): BlockList | undefined {
  return blockList(networks('').read(cidrs, '--allow', {}));
}

import type { Engine } from './contract.js';
import { nodeEngine } from './node/engine.js';

/** `auto` takes the fastest engine that loads; today that is node:dgram everywhere. */
export function chooseEngine(_name: 'auto' | 'node'): Engine {
  return nodeEngine;
}

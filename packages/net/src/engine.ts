import type { Engine, EngineName } from './datagrams.js';
import { linuxEngine } from './linux/engine.js';
import { nodeEngine } from './node/engine.js';

/** The chosen engine, and why `auto` fell back to it. */
export interface Choice {
  engine: Engine;
  instead?: string;
}

/**
 * `auto` selects the Linux engine if it loads, otherwise the portable one.
 * @throws if `linux` is requested and does not load
 */
export function chooseEngine(name: 'auto' | EngineName): Choice {
  if (name === 'node' || (name === 'auto' && process.platform !== 'linux')) return { engine: nodeEngine };
  try {
    return { engine: linuxEngine() };
  } catch (error) {
    const why = (error as Error).message.split('\n')[0] ?? 'unknown';
    if (name === 'linux') throw new Error(why, { cause: error });
    return { engine: nodeEngine, instead: why };
  }
}

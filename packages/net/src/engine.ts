import type { Engine, EngineName } from './datagrams.js';
import { linuxEngine } from './linux/engine.js';
import { nodeEngine } from './node/engine.js';

/** An engine, and why it is not the one that `auto` would rather have. */
export interface Choice {
  engine: Engine;
  instead?: string;
}

/**
 * `auto` takes the engine for Linux where it loads, and the one for every platform otherwise.
 * @throws when `linux` is asked for and does not load
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

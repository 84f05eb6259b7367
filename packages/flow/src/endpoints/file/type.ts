import type { AnyAddress, EndpointType } from '../../endpoint.js';
import { checkRotation } from './flags.js';

/** Files, FIFOs, terminals, serial and other devices by their path; `-`: stdin or stdout. */
export const file: EndpointType<AnyAddress> = {
  name: 'file',
  schemes: [],
  syntax: 'FILE|-',
  keys: { source: [], sink: [] },
  carries: 'stream',
  listens: [],
  check: checkRotation,
  parse: (text) => ({ text, keys: {}, own: new Set() }),
  load: async () => (await import('./open.js')).opener,
};

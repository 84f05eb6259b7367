import type { AnyAddress, EndpointType } from '../../endpoint.js';
import { FLUSH_AFTER, NO_STREAM, PAYLOAD } from '../../stream/flags.js';
import * as events from './events.js';
import { checkRotation } from './flags.js';

/** Files, FIFOs, terminals, serial and other devices by their path; `-`: stdin or stdout. */
export const file: EndpointType<AnyAddress> = {
  name: 'file',
  schemes: [],
  syntax: 'FILE|-',
  keys: { source: [], sink: [] },
  carries: 'stream',
  listens: [],
  flags: [
    { table: PAYLOAD, role: 'source', unused: NO_STREAM },
    { table: FLUSH_AFTER, role: 'source', unused: NO_STREAM },
  ],
  check: checkRotation,
  parse: (text) => ({ text, keys: {}, own: new Set() }),
  events: Object.values(events),
  load: async () => (await import('./open.js')).opener,
};

import type { EventDefinition } from '../events.js';
import * as program from '../events.js';
import { DESTINATIONS, FILES, LISTENERS } from './types.js';

const TYPES = [...FILES, ...DESTINATIONS, ...LISTENERS];

/** All events. The module of the program's also exports the functions that make them. */
export const EVENTS: EventDefinition[] = [...new Set([program, ...TYPES.map(({ events }) => events)])]
  .flatMap((module): unknown[] => Object.values(module))
  .filter((value): value is EventDefinition => typeof value === 'object');

import type { EventDefinition } from '../events.js';
import * as program from '../events.js';
import { TYPES } from './types.js';

/** All events: those of the program, whose module also exports the functions that make them, and those of the types. */
export const EVENTS: EventDefinition[] = [
  ...Object.values(program).filter((value): value is EventDefinition => typeof value === 'object'),
  ...new Set(TYPES.flatMap(({ events = [] }) => events)),
];

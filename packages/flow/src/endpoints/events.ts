import type { EventDefinition } from '../events.js';
import * as program from '../events.js';
import * as tcp from './tcp/events.js';
import { TYPES } from './types.js';

/** All events. Modules of events export definitions; that of the program also the functions that make them. */
export const EVENTS: EventDefinition[] = [
  ...[program, tcp]
    .flatMap((module): unknown[] => Object.values(module))
    .filter((value): value is EventDefinition => typeof value === 'object'),
  ...new Set(TYPES.flatMap(({ events = [] }) => events)),
];

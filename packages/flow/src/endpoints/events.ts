import type { EventDefinition } from '../events.js';
import * as program from '../events.js';
import * as file from './file/events.js';
import * as mold from './mold/events.js';
import * as nats from './nats/events.js';
import * as tcp from './tcp/events.js';
import * as udp from './udp/events.js';

/** All events. Modules of events export definitions; that of the program also the functions that make them. */
export const EVENTS: EventDefinition[] = [program, file, mold, nats, tcp, udp]
  .flatMap((module): unknown[] => Object.values(module))
  .filter((value): value is EventDefinition => typeof value === 'object');

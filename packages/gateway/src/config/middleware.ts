import { object } from 'mproxy-service/config-keys';
import { type Place, showValue, wrong } from 'mproxy-service/config-place';
import { isObject, type Key, type Keys, schemaOf, showTable, suggestion } from 'mproxy-service/config-table';
import { LAYERS } from 'mproxy-service/layers/types';
import type { MiddlewareConfig } from './types.js';

/** Layers that come later. */
const LATER = [
  ...['auth', 'basic_auth', 'jwt', 'forward_auth', 'rate_limit', 'cors', 'cache', 'compress', 'decompress'],
  'mirror',
];

const TYPES = [...LAYERS.keys()];

/** A layer by its type; its own table reads its configuration. */
export const middleware: Key<MiddlewareConfig> = {
  name: '',
  expected: 'an object with type and config',
  help: 'a layer',
  schema: { anyOf: TYPES.map(schemaOfType) },
  read(given: unknown, place: Place) {
    if (!isObject(given)) return wrong(place, given, middleware.expected);
    for (const name of Object.keys(given))
      if (name !== 'type' && name !== 'config')
        place.key(name).report(`there is no such key${suggestion(name, ['type', 'config'])}`);
    const type = readType(given.type, place.key('type'));
    if (type === undefined) return undefined;
    const config = configOf(type).read(given.config ?? {}, place.key('config'));
    return config && { type, config };
  },
  show: ({ type, config }) => ({ type, config: showTable(LAYERS.get(type)!.keys, config) }),
};

/** The configuration of a layer, as the key of an object. */
export function configOf(type: string): Key<Record<string, unknown> | undefined> {
  const { keys, help, check } = LAYERS.get(type)!;
  return object(keys, { help }, check);
}

function readType(given: unknown, place: Place): string | undefined {
  if (given === undefined)
    return place.report(`it is missing; expected one of ${TYPES.join(', ')}`) as undefined;
  if (typeof given === 'string') {
    if (LAYERS.has(given)) return given;
    if (LATER.includes(given))
      return place.report(`${showValue(given)}: this version has no such layer yet`) as undefined;
    const near = suggestion(given, TYPES);
    if (near) return place.report(`${showValue(given)}: there is no such layer${near}`) as undefined;
  }
  return wrong(place, given, `one of ${TYPES.join(', ')}`, 'there is no such layer');
}

function schemaOfType(type: string) {
  const { keys, help }: { keys: Keys; help: string } = LAYERS.get(type)!;
  const needs = Object.values(keys).some(({ required }) => required);
  return {
    type: 'object',
    description: help,
    properties: { type: { const: type }, config: schemaOf(keys) },
    required: needs ? ['type', 'config'] : ['type'],
    additionalProperties: false,
  };
}

import { list, object, text } from 'mproxy-service/config-keys';
import type { Place } from 'mproxy-service/config-place';
import { type Key, readTable, schemaOf, type ValuesOf } from 'mproxy-service/config-table';
import { flagHint } from './flag-names.js';
import { middleware } from './middleware.js';
import { checkRoute, ROUTE } from './schema-route.js';
import { SERVER } from './schema-server.js';

export type RouteValues = ValuesOf<typeof ROUTE> & { place: string };

const plainRoute = object(
  ROUTE,
  { help: 'a route', expected: 'an object with path and upstream', required: true },
  checkRoute,
);
/** A route, which knows its place. */
const route: Key<RouteValues> = {
  ...plainRoute,
  read(given: unknown, place: Place): RouteValues | undefined {
    const values = plainRoute.read(given, place);
    return values && { ...values, place: place.name };
  },
};

/** The keys of a document. From them come its reader, the tables of the docs and the JSON Schema. */
export const GATEWAY = {
  schema: text({ name: '$schema', help: 'the JSON Schema of this document, for editors' }),
  ...SERVER,
  routes: list(route, { default: [], help: 'which requests go where' }),
  middlewares: list(middleware, { default: [], help: 'layers of all routes, the first outermost' }),
};

export type DocumentValues = ValuesOf<typeof GATEWAY>;

/** Keys by which a configuration of rpxy is known. */
const RPXY = ['apps', 'listen_port', 'listen_port_tls', 'default_app'];

/** Reads a document. @returns undefined, or values of which some are undefined, where problems were reported */
export function readGateway(given: unknown, place: Place): DocumentValues | undefined {
  const isRpxy = typeof given === 'object' && given !== null && RPXY.some((key) => Object.hasOwn(given, key));
  if (!isRpxy) return readTable(GATEWAY, given, place, flagHint);
  place.report('this is a configuration of rpxy, which this version does not read yet');
  return undefined;
}

/** For editors: packages/gateway/schema.json. */
export function jsonSchema(): Record<string, unknown> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'The configuration of mproxy-gateway',
    ...schemaOf(GATEWAY),
  };
}

import { flagNames, type OptionsOf, readFlags, usage, type ValuesOf } from 'mproxy-base';
import type { CommonOptions } from 'mproxy-flow';
import { COMMON_OPTIONS } from 'mproxy-flow/program';
import { checkPairs } from 'mproxy-net/tls-flags';
import { isObject } from 'mproxy-service/config-table';
import { type Document, readDocument } from './config/document.js';
import type { FlagKey } from './config/merge.js';
import { readConfig } from './config/read.js';
import type { GatewayConfig } from './config/types.js';
import { FLAGS } from './flags.js';

/** The flags as the user writes them. */
const NAMES = flagNames(FLAGS);

/** The flags of mproxy-gateway, in camelCase; see `mproxy-gateway --help`. `config` may be the configuration itself, as an object. */
export interface GatewayOptions extends CommonOptions, OptionsOf<typeof FLAGS> {}

/**
 * The effective configuration of some options, and of the document that they name.
 * @throws MPROXY_USAGE, with a line for each problem of the document
 */
export async function readOptions(options: GatewayOptions): Promise<GatewayConfig> {
  const values = readFlags(FLAGS, options, COMMON_OPTIONS);
  const document = await documentOf(values.config);
  if (values.allowTarget.length > 0 && !values.portEncoding && !has(document, 'port_encoding'))
    throw usage(NAMES.allowTarget, '', 'no host names a port', `give ${NAMES.portEncoding}`);
  const ofLog = LOG_FLAGS.find((flag) => values[flag] !== undefined && values[flag] !== false);
  if (ofLog && values.accessLog === undefined && !has(document, 'access_log'))
    throw usage(NAMES[ofLog], '', 'there is no access log', `give ${NAMES.accessLog}`);
  return readConfig(document, keysOf(values, options.engine));
}

/** They change an access log that is given. */
const LOG_FLAGS = ['logFormat', 'rotateSize', 'rotateEvery', 'keep', 'gzip'] as const;

async function documentOf(config: ValuesOf<typeof FLAGS>['config']): Promise<Document> {
  if (typeof config === 'string') return readDocument(NAMES.config, config);
  return { value: config ?? {}, folder: process.cwd(), name: '', hasVariables: false };
}

function has({ value }: Document, key: string): boolean {
  return isObject(value) && value[key] !== undefined;
}

/** The keys that flags give. */
function keysOf(values: ValuesOf<typeof FLAGS>, engine: GatewayOptions['engine']): FlagKey[] {
  const key = (path: string, flag: string, value: unknown) =>
    value === undefined || value === false ? [] : [{ path, flag, value }];
  const list = (
    path: string,
    flag: string,
    all: readonly string[],
    read: (one: string) => unknown = String,
  ) => (all.length === 0 ? [] : [{ path, flag: all.map(() => flag), value: all.map(read) }]);
  const time = (ms: number | undefined) => (ms === undefined ? undefined : `${ms}ms`);
  const { route } = values;
  return [
    ...list('listen', NAMES.listenAddr, values.listenAddr),
    ...(route.length === 0
      ? []
      : [
          {
            path: 'routes',
            flag: route.map((one) => `${NAMES.route} ${one.replace(SECRET, '//***@')}`),
            value: route.map(routeOf),
          },
        ]),
    ...certificates(values),
    ...list('trusted_proxies', NAMES.trust, values.trust),
    ...list('port_encoding.suffixes', NAMES.portEncoding, values.portEncoding ?? []),
    ...list('port_encoding.allow_targets', NAMES.allowTarget, values.allowTarget),
    ...list('run', NAMES.run, values.run),
    ...key('access_log.to', NAMES.accessLog, values.accessLog),
    ...key('access_log.format', NAMES.logFormat, values.logFormat),
    ...key('access_log.rotate_size', NAMES.rotateSize, values.rotateSize),
    ...key('access_log.rotate_every', NAMES.rotateEvery, time(values.rotateEvery)),
    ...key('access_log.keep', NAMES.keep, values.keep),
    ...key('access_log.gzip', NAMES.gzip, values.gzip),
    ...key('thread_count', NAMES.workers, values.workers),
    ...key('engine', '--engine', engine),
    ...key('drain', NAMES.drain, time(values.drain)),
    ...key('grace', NAMES.grace, time(values.grace)),
  ];
}

/** The certificates of TLS listeners. @throws MPROXY_USAGE if certificates and keys do not pair */
function certificates({ tlsCert, tlsKey, tlsClientCa }: ValuesOf<typeof FLAGS>): FlagKey[] {
  if (tlsCert.length === 0 && tlsKey.length === 0 && tlsClientCa === undefined) return [];
  checkPairs({ tlsCert, tlsKey });
  const value = tlsCert.map((file, i) => ({
    ...{ cert_file: file, key_file: tlsKey[i] },
    ...(tlsClientCa !== undefined && { client_ca_file: tlsClientCa }),
  }));
  return [{ path: 'certificates', flag: tlsCert.map(() => NAMES.tlsCert), value }];
}

/** User and password of a URL. */
const SECRET = /\/\/[^/@|]*@/g;

/** `[HOST]/PATH=URL[|URL...]`. The path may have `=`, since a URL follows the one that ends it. */
function routeOf(text: string): Record<string, unknown> {
  const [, host = '', path = '', urls = ''] =
    /^([^/=]*)(\/.*?)=(?=[a-z][a-z0-9+.-]*:)(.*)$/is.exec(text) ?? [];
  if (path === '')
    throw usage(NAMES.route, text, 'not a route', 'write [HOST]/PATH=URL, as in /api=http://localhost:8080');
  return { ...(host === '' ? {} : { host }), path, upstreams: urls.split('|') };
}

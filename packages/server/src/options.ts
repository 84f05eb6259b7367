import { flagNames, type OptionsOf, readFlags, usage } from 'mproxy-base';
import {
  COMMON_OPTIONS,
  type CommonOptions,
  checkFlushAfter,
  checkUses,
  isListener,
  isMold,
  isRegular,
} from 'mproxy-flow';
import { frameOf, splitScheme } from 'mproxy-net';
import { FLAGS } from './flags.js';

/** The flags as the user writes them. */
export const NAMES = flagNames(FLAGS);

/** The flags of mproxy-server, in camelCase; see `mproxy-server --help`. */
export interface ServerOptions extends CommonOptions, OptionsOf<typeof FLAGS> {
  /** A file to append to, a FIFO or a device; `-` is stdout. Several listeners write `FILE.ADDR` each. */
  path: string;
  /** `HOST:PORT[,KEY...]` to listen on. */
  listenAddr: string | string[];
}

/** Reads all options before anything is resolved or opened. @throws MPROXY_USAGE */
export function readOptions(options: ServerOptions) {
  const values = readFlags(FLAGS, options, COMMON_OPTIONS);
  const { listenAddr, allow, merge, rotateSize, rotateEvery, fileMode, once } = values;
  const path = values.path[0]!.address.text;
  const texts = listenAddr.map(({ address }) => address.text);
  const isOne = texts.length === 1 || merge || !isRegular(path);
  const paths = texts.map((text) => (isOne ? path : `${path}.${fileName(text)}`));
  const duplicate = isOne ? undefined : texts.find((_, i) => paths.indexOf(paths[i]!) !== i);
  if (duplicate)
    throw usage(
      NAMES.listenAddr,
      duplicate,
      'given twice, for one and the same file',
      `or use ${NAMES.merge}`,
    );
  const frames = listenAddr.map(({ address }) => frameOf(address));
  const teeFrame = values.frame ?? 'lines';
  const written = path === '-' && values.tee ? [...frames, teeFrame] : frames;
  if (isOne && new Set(written).size > 1) {
    const addresses = listenAddr.map(({ address }) => address.text).join(' and ');
    const names = [...new Set(written)].join(' and ');
    throw usage(
      NAMES.listenAddr,
      addresses,
      `${path} is written by one frame, not by ${names}`,
      'use one for all',
    );
  }
  if (allow.length > 0 && !listenAddr.some(isListener))
    throw usage(NAMES.allow, String(options.allow), 'no address is listened on by this host');
  if (once && !listenAddr.some(isMold))
    throw usage(NAMES.once, '', 'nothing that is received has an end', 'use frame=mold');
  if ((rotateSize ?? rotateEvery) !== undefined && path === '-')
    throw usage(NAMES.path, path, 'stdout cannot be rotated', 'give a file');
  if (fileMode !== undefined && path === '-')
    throw usage(NAMES.fileMode, String(options.fileMode), 'stdout has no mode to set', 'give a file');
  checkUses(FLAGS, options, values, [
    [values.path[0]!, 'sink'],
    ...listenAddr.map((from) => [from, 'source'] as const),
  ]);
  const streams = listenAddr.filter(({ type }) => type.carries === 'stream');
  checkFlushAfter(
    options.flushAfter,
    streams.map(({ address }) => frameOf(address)),
  );
  return { ...values, paths, frames, teeFrame };
}

/** Keys that tell apart receivers of one group. */
const NAMING_KEYS = /^(interface|source)=/;

/** The part of an address that names its file, without a login; characters that the file system rejects become `_`. */
function fileName(text: string): string {
  const [address = '', ...keys] = text.split(',');
  const place = splitScheme(address).rest.replace(/^[^/]*@/, '');
  const name = [place, ...keys.filter((key) => NAMING_KEYS.test(key))].join(',');
  const forbidden = process.platform === 'win32' ? /[/\0<>:"\\|?*]/g : /[/\0]/g;
  return name.replace(forbidden, '_');
}

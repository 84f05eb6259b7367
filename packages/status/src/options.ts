import { firstGiven, type OptionsOf, readFlags, usage, type ValuesOf } from 'mproxy-base';
import { type Address, type Network, parseAddress } from 'mproxy-net';
import { ALLOW_NAME } from 'mproxy-net/networks';
import { STATUS, STATUS_NAMES } from './flags.js';

/** The options of a command that concern its status. */
export interface StatusOptions extends OptionsOf<{ STATUS: typeof STATUS }> {
  /** The networks of `--allow`, for `statusAllow`. */
  allow?: string | string[];
}

export interface StatusValues extends Omit<ValuesOf<{ STATUS: typeof STATUS }>, 'statusAddr' | 'statusPeer'> {
  /** Where to listen: a TCP address, or the path of a Unix socket. */
  listen: Address | string;
  /** URLs of the `/stats` of other programs. */
  peers: string[];
}

const UNIX = 'unix:';
/** Bytes of a path, which Node cuts off without an error (unix(7), sun_path; 103 on macOS). */
const UNIX_MAX = process.platform === 'linux' ? 107 : 103;

/** @returns undefined without `statusAddr` @throws MPROXY_USAGE */
export function readStatusOptions(options: StatusOptions): StatusValues | undefined {
  const { statusAddr, statusPeer, ...values } = readFlags({ STATUS }, options);
  if (statusAddr === undefined) {
    const given = firstGiven(STATUS, options);
    if (given === undefined) return undefined;
    throw usage(given, '', 'there is no status to show', `use ${STATUS_NAMES.statusAddr}`);
  }
  return {
    ...values,
    statusAllow: values.statusAllow.length > 0 ? values.statusAllow : allowed(options.allow),
    listen: parseListen(statusAddr),
    peers: statusPeer.map(parsePeer),
  };
}

function allowed(allow: StatusOptions['allow']): Network[] {
  return STATUS.statusAllow.read(allow, ALLOW_NAME, {});
}

function parseListen(text: string): Address | string {
  const flag = STATUS_NAMES.statusAddr;
  if (!text.startsWith(UNIX)) return parseAddress(text, { flag, keys: [], listens: true });
  const path = text.slice(UNIX.length);
  if (path === '') throw usage(flag, text, 'the path is missing', 'write unix:PATH');
  if (Buffer.byteLength(path) > UNIX_MAX)
    throw usage(flag, text, `longer than ${UNIX_MAX} bytes, the limit of a Unix socket`);
  return path;
}

/** The address of another program's status, or of its page. */
function parsePeer(text: string): string {
  const flag = STATUS_NAMES.statusPeer;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:')
    throw usage(flag, text, 'not the URL of a status page', 'write http://HOST:PORT');
  if (url.username || url.password) throw usage(flag, url.host, 'a status page takes no password');
  return new URL('/stats', url).href;
}

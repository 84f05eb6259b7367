import { usage } from 'mproxy-base';
import {
  type CommonOptions,
  forbidTwins,
  type Handle,
  isRegular,
  type MoldReceiveOptions,
  openPathSink,
  openUdpSources,
  type Program,
  parseNetworks,
  type Rotation,
  type RotationOptions,
  readMoldReceiving,
  readRotation,
  Sessions,
  type Sink,
  startProgram,
  stdoutSink,
} from 'mproxy-flow';
import type { Address, AddressRule } from 'mproxy-net';
import { type KeyOptions, keyDefaults, listOf, parseAddresses, resolveAll } from 'mproxy-net';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';

/** The flags of mproxy-server, in camelCase. */
export interface ServerOptions extends CommonOptions, KeyOptions, MoldReceiveOptions, RotationOptions {
  /** A file to append to, a FIFO or a device; `-` is stdout. Several listeners write `FILE.ADDR` each. */
  path: string;
  /** `HOST:PORT[,KEY...]` to listen on. */
  listenAddr: string | string[];
  /** Networks whose datagrams are accepted, such as `192.168.0.0/16`; default all. */
  allow?: string | string[];
  /** Mode of created files: octal text (`0640`) or a number (0o640); default 0666 less the umask. */
  fileMode?: number | string;
  /** All listeners write to one file. */
  merge?: boolean;
}

export const LISTEN_ADDR: AddressRule = {
  flag: '--listen-addr',
  keys: ['interface', 'source', 'rcvbuf', 'frame'],
  listens: true,
};

const LINE_ADVICE =
  'writing: datagrams without a newline at their end follow each other on one line; if each is a record of its own, use --frame line';

/**
 * Collects UDP, unicast or multicast, into files.
 *
 * `done` rejects with `MPROXY_WRITE` if received data could not be written.
 */
export function startServer(options: ServerOptions, signal?: AbortSignal): Handle {
  return startProgram(options, signal, async (program) => {
    // SIGHUP never stops a server, even before its files are open or when it writes to stdout.
    program.onReload(() => undefined);
    const { addresses, paths, teeFrame, mold, rotation, allow, fileMode } = readOptions(options);
    const sessions = new Sessions(program, mold);
    const answers = await Promise.all(addresses.map((address) => resolveAll(address, program.stopping)));
    forbidTwins(
      program.engine,
      addresses.map((address, i) => ({ address, answers: answers[i]! })),
    );
    const others = answers.flat();
    const unterminated = () => program.noticeChange('frame', LINE_ADVICE);
    const sinks = openSinks(program, addresses, paths, rotation, fileMode);
    for (const [i, address] of addresses.entries()) {
      const tee = options.tee ? [stdoutSink(program, teeFrame, false)] : [];
      const to = [...new Set<Sink>([sinks[i]!, ...tee])];
      const lines = (address.keys.frame ?? 'lines') === 'lines';
      const checks = { allow, unterminated: lines ? unterminated : undefined };
      for (const source of await openUdpSources(program, address, answers[i]!, others, checks)) {
        program.route(sessions.source(source), to);
      }
    }
  });
}

function readOptions(options: ServerOptions) {
  const { path, listenAddr, merge } = options;
  const defaults = keyDefaults(options);
  const addresses = parseAddresses(listenAddr, LISTEN_ADDR, defaults);
  if (!path) throw usage('--path', 'missing', 'there is nowhere to write', 'give a file, or - for stdout');
  if (addresses.length === 0) throw usage('--listen-addr', 'missing', 'there is nothing to listen on');
  const one = addresses.length === 1 || merge || !isRegular(path);
  const paths = addresses.map(({ text }) => (one ? path : `${path}.${fileName(text)}`));
  const duplicate = one ? undefined : addresses.find((_, i) => paths.indexOf(paths[i]!) !== i);
  if (duplicate)
    throw usage('--listen-addr', duplicate.text, 'given twice, for one and the same file', 'or use --merge');
  const teeFrame = defaults.frame ?? 'lines';
  const frames = addresses.map(({ keys }) => keys.frame ?? 'lines');
  if (path === '-' && options.tee) frames.push(teeFrame);
  if (one && new Set(frames).size > 1) {
    throw usage(
      'frame',
      [...new Set(frames)].join(', '),
      `${path} is written by one frame`,
      'use one for all',
    );
  }
  const molds = addresses.filter(({ keys }) => keys.frame === 'mold');
  if (options.once && molds.length === 0)
    throw usage('--once', 'given', 'nothing that is received has an end', 'use frame=mold');
  const rotation = readRotation(options);
  if (rotation && path === '-') throw usage('--path', path, 'stdout cannot be rotated', 'give a file');
  const fileMode = readFileMode(options);
  const allow = parseNetworks(listOf(options.allow));
  return {
    addresses,
    paths,
    teeFrame,
    rotation,
    allow,
    fileMode,
    mold: readMoldReceiving(options, molds.length > 0),
  };
}

/** Reads `--file-mode`. @throws MPROXY_USAGE */
function readFileMode({ fileMode, path }: ServerOptions): number | undefined {
  if (fileMode === undefined) return undefined;
  if (path === '-') throw usage('--file-mode', String(fileMode), 'stdout has no mode to set', 'give a file');
  const text = typeof fileMode === 'number' ? fileMode.toString(8) : fileMode;
  if (!/^0?[0-7]{1,3}$/.test(text))
    throw usage('--file-mode', text, 'not an octal mode', 'use one like 0640');
  return Number.parseInt(text, 8);
}

/** Keys that are part of a file's name: they tell apart several receivers of one group. */
const NAMING_KEYS = /^(interface|source)=/;

/** Makes a file name of an address. Characters that the file system forbids become `_`. */
function fileName(text: string): string {
  const [hostPort = '', ...keys] = text.split(',');
  const name = [hostPort, ...keys.filter((key) => NAMING_KEYS.test(key))].join(',');
  const forbidden = process.platform === 'win32' ? /[/\0<>:"\\|?*]/g : /[/\0]/g;
  return name.replace(forbidden, '_');
}

/** One sink for each address; addresses with the same path share it. */
function openSinks(
  program: Program,
  addresses: Address[],
  paths: string[],
  rotation?: Rotation,
  fileMode?: number,
): Sink[] {
  const opened = new Map<string, Sink>();
  return addresses.map(({ keys }, i) => {
    const path = paths[i]!;
    const existing = opened.get(path);
    if (existing) return existing;
    const sink = openPathSink(program, path, keys.frame ?? 'lines', rotation, fileMode);
    program.notice(`writing: ${path === '-' ? 'stdout' : path}`);
    opened.set(path, sink);
    return sink;
  });
}

import { flagNames, type OptionsOf, readFlags, usage } from 'mproxy-base';
import { COMMON_OPTIONS, type CommonOptions, checkFlushAfter, checkUses } from 'mproxy-flow';
import type { Frame } from 'mproxy-framing';
import { frameOf } from 'mproxy-net';
import { FLAGS } from './flags.js';

/** The flags as the user writes them. */
export const NAMES = flagNames(FLAGS);

/** The flags of mproxy-client, in camelCase; see `mproxy-client --help`. */
export interface ClientOptions extends CommonOptions, OptionsOf<typeof FLAGS> {
  /** A file, FIFO or device; `-` is stdin. */
  path: string;
}

/** Reads all options before anything is resolved or opened. @throws MPROXY_USAGE */
export function readOptions(options: ClientOptions) {
  const values = readFlags(FLAGS, options, COMMON_OPTIONS);
  const { serverAddr, tee, follow, fromEnd, baud } = values;
  const path = values.path[0]!;
  const isStdin = path.address.text === '-';
  if (serverAddr.length === 0 && !tee)
    throw usage(NAMES.serverAddr, 'missing', 'there is nowhere to send', `or use ${NAMES.tee}`);
  if (values.rate && serverAddr.length === 0)
    throw usage(NAMES.rate, options.rate!, 'there is no destination', `use ${NAMES.serverAddr}`);
  if (follow && isStdin) throw usage(NAMES.follow, '-', 'stdin cannot be followed', 'give its path');
  if (baud !== undefined && isStdin) throw usage(NAMES.baud, '-', 'stdin keeps its mode', 'give its path');
  if (fromEnd && !follow) throw usage(NAMES.fromEnd, '', `it needs ${NAMES.follow}`);
  const datagrams = serverAddr.filter(({ type }) => type.carries === 'datagrams');
  const frames = new Set<Frame>(datagrams.map(({ address }) => frameOf(address)));
  if (frames.size > 1)
    throw usage(
      NAMES.serverAddr,
      datagrams.map(({ address }) => address.text).join(' and '),
      `the input is cut once, not by ${[...frames].join(' and ')}`,
      'use one frame for all',
    );
  const frame = [...frames][0] ?? values.frame ?? 'lines';
  if (frame === 'mold' && datagrams.length === 0 && serverAddr.length > 0)
    throw usage(
      NAMES.frame,
      frame,
      'no address takes datagrams',
      'mold is for datagrams; use lines, line or raw',
    );
  checkUses(FLAGS, options, values, [[path, 'source'], ...serverAddr.map((to) => [to, 'sink'] as const)]);
  checkFlushAfter(options.flushAfter, [frame]);
  return { ...values, frame };
}

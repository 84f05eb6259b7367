import { flagNames, type OptionsOf, readFlags, usage } from 'mproxy-base';
import {
  COMMON_OPTIONS,
  type CommonOptions,
  checkFlushAfter,
  checkUses,
  isListener,
  isMold,
  type Uses,
} from 'mproxy-flow';
import { frameOf } from 'mproxy-net';
import { FLAGS } from './flags.js';

/** The flags as the user writes them. */
export const NAMES = flagNames(FLAGS);

/** The flags of mproxy-forward, in camelCase; see `mproxy-forward --help`. */
export interface ForwardOptions extends CommonOptions, OptionsOf<typeof FLAGS> {}

/** Reads all options before anything is resolved or opened. @throws MPROXY_USAGE */
export function readOptions(options: ForwardOptions) {
  const values = readFlags(FLAGS, options, COMMON_OPTIONS);
  const { udpListenAddr: listens, udpDownstreamAddr: downstreams, tcpConnectAddr: upstreams } = values;
  const { once, greeting, greetingFile, allow } = values;
  if (listens.length + upstreams.length === 0)
    throw usage(NAMES.udpListenAddr, 'missing', 'there is no source', `or use ${NAMES.tcpConnectAddr}`);
  const receives = listens.some(isMold);
  if (once && upstreams.length === 0 && !receives)
    throw usage(
      NAMES.once,
      '',
      'there is nothing that could end',
      `use ${NAMES.tcpConnectAddr}, or frame=mold`,
    );
  if (once && upstreams.length > 0 && receives) {
    const why = 'upstreams and sessions of frame=mold do not end together';
    throw usage(NAMES.once, '', why, 'use a command for each');
  }
  if (greeting !== undefined && greetingFile !== undefined)
    throw usage(NAMES.greetingFile, greetingFile, `${NAMES.greeting} is given, too`, 'use one of them');
  if (allow.length > 0 && !listens.some(isListener))
    throw usage(NAMES.allow, String(options.allow), 'there is no UDP listener', `use ${NAMES.udpListenAddr}`);
  // The first address to listen on, if it is a group of UDP, also receives the data of TCP upstreams.
  const isOwnGroup = (i: number) => i === 0 && upstreams.length > 0 && listens[0]!.type.ignoresOwn;
  const uses: Uses = [
    ...listens.map((from, i) => [from, 'source', ...(isOwnGroup(i) ? (['sink'] as const) : [])] as const),
    ...upstreams.map((from) => [from, 'source'] as const),
    ...downstreams.map((to) => [to, 'sink'] as const),
  ];
  checkUses(FLAGS, options, values, uses);
  checkFlushAfter(
    options.flushAfter,
    upstreams.map(({ address }) => frameOf(address)),
  );
  return values;
}

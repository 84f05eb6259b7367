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

/** The flags of mproxy-reverse, in camelCase; see `mproxy-reverse --help`. */
export interface ReverseOptions extends CommonOptions, OptionsOf<typeof FLAGS> {}

/** Reads all options before anything is resolved or opened. @throws MPROXY_USAGE */
export function readOptions(options: ReverseOptions) {
  const values = readFlags(FLAGS, options, COMMON_OPTIONS);
  const { udpListenAddr, tcpListenAddr, tcpOutputAddr, udpOutputAddr, multicastAddr, allow } = values;
  const group = multicastAddr[0]!;
  const hasInputs = udpListenAddr.length + tcpListenAddr.length > 0;
  // Without inputs the tee copies the group's data.
  const readsGroup = tcpOutputAddr.length + udpOutputAddr.length > 0 || (values.tee && !hasInputs);
  if (!hasInputs && !readsGroup) {
    const why = 'there is no source and no sink';
    throw usage(NAMES.tcpOutputAddr, 'missing', why, 'see mproxy-reverse --help');
  }
  if (hasInputs && readsGroup && group.address.keys.loop === false)
    throw usage('loop', 'no', 'what comes in reaches the outputs by the loop of the group', 'leave it out');
  if (allow.length > 0 && ![...udpListenAddr, ...tcpListenAddr, ...tcpOutputAddr].some(isListener))
    throw usage(NAMES.allow, String(options.allow), 'there is no listener', `use ${NAMES.tcpOutputAddr}`);
  if (values.once && !(readsGroup && isMold(group)) && !udpListenAddr.some(isMold))
    throw usage(NAMES.once, '', 'nothing that is received has an end', 'use frame=mold');
  const uses: Uses = [
    ...[...udpListenAddr, ...tcpListenAddr].map((from) => [from, 'source'] as const),
    ...[...udpOutputAddr, ...tcpOutputAddr].map((to) => [to, 'sink'] as const),
    [group, ...(hasInputs ? (['sink'] as const) : []), ...(readsGroup ? (['source'] as const) : [])],
  ];
  checkUses(FLAGS, options, values, uses);
  checkFlushAfter(
    options.flushAfter,
    tcpListenAddr.map(({ address }) => frameOf(address)),
  );
  return { ...values, hasInputs, readsGroup };
}

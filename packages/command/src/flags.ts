import { type Flag, type FlagGroups, type FlagTable, flagName, text, toggle } from 'mproxy-base';
import { ENGINE } from 'mproxy-net/engine-flag';
import { STATUS } from 'mproxy-status/flags';
import { LOG } from './log-format.js';

/** The flags that every command has. */
const COMMON: FlagTable = {
  ...ENGINE,
  stats: {
    ...text({
      value: 'TIME',
      help: 'print the counters of each route to stderr, every second or every TIME; on a terminal as a table',
    }),
    optional: true,
  },
  log: LOG,
  ...STATUS,
  quiet: toggle({ short: '-q', help: 'no notices on stderr; losses are still reported' }),
  version: toggle({ short: '-V', help: 'print the version' }),
  help: toggle({ short: '-h', help: 'print this help' }),
};

/** All flags of a command under their headings, with their names as the user writes them. */
export function flagGroups({ flags }: { flags: FlagGroups }): [heading: string, Flag[]][] {
  return Object.entries({ ...flags, 'Common options': COMMON }).map(([heading, table]) => [
    heading,
    Object.entries(table).map(([key, flag]) => ({ ...flag, name: flagName(key, flag) })),
  ]);
}

import type { FlagGroups } from 'mproxy-base';
import { ownKeysOf } from 'mproxy-flow/addresses';

/** The description of a command, the source of its help, man page and completions. */
export interface About {
  name: string;
  summary: string;
  /** The effect of SIGHUP, if it does not stop the command: `SIGHUP ...`. */
  hangup?: string;
  /** For the man page, of a program whose addresses have no keys: more of the description, and what SIGINT and SIGTERM do. */
  manual?: { description: string[]; stop: string };
  /** Groups of flags by heading, in the order of the help. */
  flags: FlagGroups;
  /** Command lines; one that begins with blanks continues the previous one. */
  examples: string[];
}

/** The syntax of values. */
export const UNITS =
  'TIME is 500ms, 10s, 5m or 1h, a bare number seconds; SIZE is bytes, or 64KiB, 8MiB, 1GB.';

/** The keys of addresses that are no flags, as they are written, with their help. */
export function keyGroups({ flags }: About): [heading: string, [key: string, help: string][]][] {
  return ownKeysOf(flags).map(([syntax, keys]) => [
    `Keys of ${syntax}`,
    Object.entries(keys).map(([name, { value, optional, help }]) => {
      if (value === undefined) return [name, help];
      return [optional ? `${name}[=${value}]` : `${name}=${value}`, help];
    }),
  ]);
}

/** The summary, with the effect of SIGHUP. */
export function fullSummary({ summary, hangup }: About): string {
  return hangup === undefined ? summary : `${summary} SIGHUP ${hangup}.`;
}

import { COMMON_FLAGS, type Flag } from './flags.js';

/** What is told of a command: its help, its man page and its completions are made of it. */
export interface About {
  name: string;
  summary: string;
  /** What SIGHUP does, in a command that it does not stop: `SIGHUP ...`. */
  hangup?: string;
  /** Groups of flags under their headings, in the order of the help. */
  flags: Record<string, Flag[]>;
  /** Command lines; one that begins with blanks goes on with the one before. */
  examples: string[];
}

/** How values are written. */
export const UNITS =
  'TIME is 500ms, 10s, 5m or 1h, a bare number seconds; SIZE is bytes, or 64KiB, 8MiB, 1GB.';

/** All flags of a command, in their groups. */
export function flagGroups({ flags }: About): [heading: string, Flag[]][] {
  return Object.entries({ ...flags, 'Common options': COMMON_FLAGS });
}

/** The summary with what a user must know of signals. */
export function fullSummary({ summary, hangup }: About): string {
  return hangup === undefined ? summary : `${summary} SIGHUP ${hangup}.`;
}

import type { MproxyError } from 'mproxy-base';
import type { Cell, FigureTable, RouteStats } from 'mproxy-flow';
import {
  type EventDefinition,
  type Fields,
  info,
  levelOf,
  loss,
  type Notice,
  noticeOf,
} from 'mproxy-flow/events';

/** Why the command ends. Its error code is stable; `MPROXY_INTERNAL` is a bug. */
export const failed = ({ code, message }: Pick<MproxyError, 'message'> & { code: string }): Message => ({
  level: 'error',
  event: 'failed',
  text: message,
  fields: { code },
});

/** The counters of a route: the name and the counters of its source, and of each sink. */
export const statsOf = (route: RouteStats, text: string): Message => ({
  level: 'info',
  event: 'stats',
  text,
  fields: route as unknown as Fields,
});

/** A row of a table of figures: its cells by the names of their columns. */
export const rowOf = ({ name, columns }: FigureTable, row: readonly Cell[], text: string): Message => ({
  level: 'info',
  event: 'stats',
  text,
  fields: { table: name, ...Object.fromEntries(columns.map((column, i) => [column.name, row[i]])) },
});

export const MESSAGES_DROPPED = loss('messages_dropped', '{count:message(s)} not shown: stderr was blocked');
export const NOTIFY_FAILED = info('notify_failed', 'NOTIFY_SOCKET: {socket}: {reason}; use Type=exec');
/** How much of the input was read, in bytes; the total where it is known. */
export const PROGRESS: EventDefinition<{ bytes: number; total: number | undefined; text: string }> = {
  type: 'progress',
  kind: 'info',
  text: ({ text }) => text,
};

/** What a command says on stderr. */
export interface Message {
  level: 'info' | 'warning' | 'error';
  /** The type of the event, `client_connected`. */
  event: string;
  text: string;
  fields: Fields;
}

export function messageOf({ kind, event, text, fields }: Notice): Message {
  return { level: levelOf(kind), event, text, fields };
}

/** An event of the command itself. */
export function happened<F extends Fields>(event: EventDefinition<F>, fields: NoInfer<F>): Message {
  return messageOf(noticeOf(event, fields));
}

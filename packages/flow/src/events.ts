import { showBytes, showDuration, showMemory, showNumber } from 'mproxy-base';

/** Plain data, as JSON has it. */
export type Data =
  | string
  | number
  | boolean
  | undefined
  | readonly Data[]
  | { readonly [name: string]: Data };
export type Fields = Readonly<Record<string, Data>>;

/** What can happen. The type and the names of the fields are stable; the text is for a person. */
export interface EventDefinition<F extends Fields = any> {
  /** `client_connected` */
  readonly type: string;
  /** `loss`: something was lost, or is about to be. */
  readonly kind: 'info' | 'loss';
  readonly text: (fields: F) => string;
}

/** An event that peers can cause without limit. A summary counts it by these words: `client(s) connected`. */
export type LimitedEvent<F extends Fields = any> = EventDefinition<F> & { readonly summary: string };

/** Makes the notice of an event. */
export function noticeOf<F extends Fields>(event: EventDefinition<F>, fields: NoInfer<F>): Notice {
  const { type, kind, text } = event;
  return { kind, text: text(fields), event: type, fields };
}

/** A loss is a warning. */
export function levelOf(kind: Notice['kind']): 'info' | 'warning' {
  return kind === 'loss' ? 'warning' : 'info';
}

/** An event that happened, for the user. */
export interface Notice {
  kind: 'info' | 'loss';
  text: string;
  /** The type of the event: `client_connected`. */
  event: string;
  fields: Fields;
}

type Names<T> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;
type Outside<T> = T extends `${infer Start}[${string}]${infer Rest}` ? `${Start}${Outside<Rest>}` : T;
type Inside<T> = T extends `${string}[${infer Section}]${infer Rest}` ? Section | Inside<Rest> : never;
type Name<N> = N extends `${infer Name}:${string}` ? Name : N;
type Value<N> = N extends `${string}:${string}` ? number : string | number;
/** The fields of a message template. */
export type FieldsOf<T extends string> = { readonly [N in Names<Outside<T>> as Name<N>]: Value<N> } & {
  readonly [N in Names<Inside<T>> as Name<N>]?: Value<N> | undefined;
};

const FORMATS = { bytes: showBytes, duration: showDuration, memory: showMemory, number: showNumber };

/** Fills a message template (messagetemplates.org): `{name}`, `{name:format}`, `[: {reason}]` where the field is given. */
export function fill(template: string, fields: Fields): string {
  const isGiven = (section: string) => fields[/\{(\w+)/.exec(section)![1]!] !== undefined;
  return template
    .replace(/\[(.*?)\]/g, (_, section: string) => (isGiven(section) ? section : ''))
    .replace(/\{(\w+)(?::(.*?))?\}/g, (_, name: string, format?: string) => {
      if (format === undefined) return String(fields[name]);
      const value = fields[name] as number;
      return format in FORMATS ? FORMATS[format as keyof typeof FORMATS](value) : counted(value, format);
    });
}

/** A count with its noun: 2, `line(s)` is `2 lines`. */
export function counted(count: number, words: string): string {
  return `${showNumber(count)} ${words.replaceAll('(s)', count === 1 ? '' : 's')}`;
}

const defining =
  (kind: 'info' | 'loss') =>
  <T extends string, S extends string | undefined = undefined>(type: string, template: T, summary?: S) => {
    const text = (fields: FieldsOf<T> & FieldsOf<S & string>) => fill(template, fields);
    return { type, kind, text, summary: summary as S };
  };

/** Defines an event by its type, the template of its text, and the words of a summary if it is limited. */
export const info = defining('info');
export const loss = defining('loss');

/** A counted loss of a source or sink. */
export type Lost = {
  endpoint: string;
  counter: string;
  /** Of a counter with labels: the name of an error. */
  label: string | undefined;
  count: number;
  /** Lost datagrams, lines and messages: the count, or 0 where that is a time, or of clients. */
  amount: number;
  lost: string;
  reason: string | undefined;
  remedy: string | undefined;
};
type Omitted = {
  subject: string;
  seconds: number;
  omitted: { event: string; count: number; text: string }[];
};

export const ENGINE_CHOSEN = info('engine_chosen', 'engine: {engine}[, as linux does not load: {instead}]');
export const STREAMS_INSTEAD = info(
  'streams_instead',
  "streams: TCP or TLS of Node, not the engine's own: {reason}",
);
export const LISTENING = info(
  'listening',
  'listening: {transport} {local}[ on interface {interface}][ ({note})]',
);
export const ADDRESS_SKIPPED = info('address_skipped', 'listening: {listener}: skipping {address}: {reason}');
/** What the sockets of an engine report in words. */
export const SOCKET_NOTICE = info('socket_notice', '{text}');
export const THREAD_FAILED = loss(
  'thread_failed',
  'thread: a receiving thread failed, and another one replaces it: {sockets:socket(s)}, {clients:client(s)} disconnected; what it held is lost: {reason}',
);
export const ROUTE_FAILED = loss('route_failed', '{reason}; the others go on');
export const RELOAD_FAILED = loss('reload_failed', '{reason}; the reload failed, and nothing has changed');
export const UNSENT = loss('unsent', 'stopped: {bytes:bytes} that were read were not sent any more');

export const LOST: EventDefinition<{ losses: Lost[] }> = {
  type: 'lost',
  kind: 'loss',
  text: ({ losses }) =>
    `lost in all: ${losses.map((one) => fill('{endpoint}: {lost}[: {reason}][; {remedy}]', one)).join('; ')}`,
};

const text = ({ omitted, ...fields }: Omitted) =>
  `${fill('{subject}: in {seconds:second(s)} also ', fields)}${omitted.map(({ text }) => text).join(', ')}`;
/** Of events beyond the limit of a subject; the second if a loss is among them. */
export const EVENTS_OMITTED: EventDefinition<Omitted> = { type: 'events_omitted', kind: 'info', text };
export const LOSSES_OMITTED: EventDefinition<Omitted> = { type: 'losses_omitted', kind: 'loss', text };

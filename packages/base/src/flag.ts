import { usage } from './errors.js';
import { parseDuration, parseInteger, parseRate, parseSize, type Rate } from './units.js';

/**
 * One flag of a command, which is an option of its library too. The parser, the option types, the help, the man page and the
 * completions are derived from it.
 */
export interface Flag<Given = any, Value = any, Name extends string = string> {
  /** Without the dashes; '': the key of its table in kebab case. */
  name: Name;
  /** A single letter. */
  short?: string;
  /** What a value looks like in the help, `FILE|-`; none: a switch. */
  value?: string;
  /** All values that there are. */
  choices?: readonly string[];
  /** Whether the value may be left out. */
  optional?: true;
  /** Whether it may be given more than once. */
  repeats?: true;
  help: string;
  /** As a user writes it. */
  default?: string | number;
  /** Read after all flags that are not late. */
  late?: true;
  /**
   * Reads what was given, or its default.
   * @param name as the user writes it
   * @param before the values of the flags that were read before
   * @throws MPROXY_USAGE
   */
  read(given: Given | undefined, name: string, before: Record<string, unknown>): Value;
}

/** Flags by the name that the code uses for their values. */
export type FlagTable = Record<string, Flag>;
/** Tables under the headings of the help. */
export type FlagGroups = Record<string, FlagTable>;

type Intersection<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void ? I : never;
type Camel<S extends string> = S extends `${infer A}-${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;
type OptionName<K, F> = F extends Flag<any, any, infer N> ? (N extends '' ? K : Camel<N>) : never;
type Flat<G extends FlagGroups> = Intersection<G[keyof G]>;

/** The options of a library: its flags in camelCase. */
export type OptionsOf<G extends FlagGroups> = {
  [K in keyof Flat<G> as OptionName<K, Flat<G>[K]>]?: Flat<G>[K] extends Flag<infer Given> ? Given : never;
};

/** The values of flags after {@link readFlags}. */
export type ValuesOf<G extends FlagGroups> = {
  [K in keyof Flat<G>]: Flat<G>[K] extends Flag<any, infer Value> ? Value : never;
};

/** The name of a flag on the command line, `--server-addr`. */
export function flagName(key: string, { name }: Flag): string {
  return `--${name || key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The name of its option in the library, `serverAddr`. */
export function optionName(key: string, { name }: Flag): string {
  return name ? name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()) : key;
}

/** All flags of some tables, with their keys. */
export function entriesOf(groups: FlagGroups): [key: string, Flag][] {
  return Object.values(groups).flatMap((table) => Object.entries(table));
}

/** The names of all flags on the command line, for messages. */
export function flagNames<G extends FlagGroups>(groups: G): { [K in keyof Flat<G>]: string } {
  return Object.fromEntries(entriesOf(groups).map(([key, flag]) => [key, flagName(key, flag)])) as never;
}

/**
 * Reads options by their flags.
 * @param others names of options that are no flags
 * @throws MPROXY_USAGE, also for an option that has no flag
 */
export function readFlags<G extends FlagGroups>(
  groups: G,
  options: object,
  others?: readonly string[],
): ValuesOf<G> {
  const given = options as Record<string, unknown>;
  const values: Record<string, unknown> = {};
  const all = entriesOf(groups);
  const known = new Set(all.map(([key, flag]) => optionName(key, flag)));
  const unknown =
    others &&
    Object.keys(given).find(
      (name) => given[name] !== undefined && !known.has(name) && !others.includes(name),
    );
  if (unknown !== undefined) throw usage(unknown, '', 'there is no such option');
  for (const late of [undefined, true])
    for (const [key, flag] of all)
      if (flag.late === late)
        values[key] = flag.read(given[optionName(key, flag)], flagName(key, flag), values);
  return values as ValuesOf<G>;
}

/** The first of some flags that was given, as the user writes it. */
export function firstGiven(table: FlagTable, options: object): string | undefined {
  const given = options as Record<string, unknown>;
  const found = Object.entries(table).find(
    ([key, flag]) => ![undefined, false].includes(given[optionName(key, flag)] as undefined),
  );
  return found && flagName(...found);
}

export function listOf<T>(given: T | readonly T[] | undefined): T[] {
  return given === undefined ? [] : Array.isArray(given) ? given : [given as T];
}

interface Definition {
  name?: string;
  short?: string;
  value?: string;
  help: string;
  /** What holds without it; the help says so. */
  default?: string | number;
}

type NameOf<D> = D extends { name: infer N extends string } ? N : '';
type Needed<D, V> = D extends { default: unknown } ? V : V | undefined;
type Made<D, Given, V> = Flag<Given, Needed<D, V>, NameOf<D>>;

/** Makes a kind of flags. `parse` takes the name as the user writes it, and a value. */
function make<const D extends Definition, Given, V>(
  definition: D,
  shape: Partial<Flag>,
  parse: (name: string, given: Given) => V,
): Made<D, Given, V> {
  const { default: fallback, help } = definition;
  return {
    ...shape,
    ...definition,
    name: definition.name ?? '',
    help: fallback === undefined ? help : `${help}; default ${fallback}`,
    read: (given: unknown, name: string) => {
      const value = given ?? fallback;
      return value === undefined ? undefined : parse(name, value as Given);
    },
  } as unknown as Made<D, Given, V>;
}

export function text<const D extends Definition & { value: string }>(
  definition: D,
  check?: (name: string, given: string) => void,
) {
  return make(definition, {}, (name, given: string) => {
    if (given === '') throw usage(name, '', 'needs a value');
    check?.(name, given);
    return given;
  });
}

/** A text that may be given more than once. */
export function texts<const D extends Definition & { value: string }>(
  definition: D,
): Flag<string | string[], string[], NameOf<D>> {
  return { ...definition, name: definition.name ?? '', repeats: true, read: listOf } as never;
}

export function toggle<const D extends Omit<Definition, 'value'>>(
  definition: D,
): Flag<boolean, boolean, NameOf<D>> {
  const read = (given: boolean | undefined, name: string) => {
    if (given !== undefined && typeof given !== 'boolean')
      throw usage(name, String(given), 'neither true nor false');
    return given === true;
  };
  return { ...definition, name: definition.name ?? '', read } as never;
}

/** @param what one is called in errors */
export function choice<const V extends string, const D extends Definition>(
  what: string,
  values: readonly V[],
  definition: D,
) {
  const shape = { value: values.join('|'), choices: values };
  return make(definition, shape, (name, given: string) => {
    const found = values.find((value) => value === given);
    if (found === undefined) throw usage(name, String(given), `no such ${what}`, `use ${values.join(', ')}`);
    return found;
  });
}

export function yesNo<const D extends Definition>(definition: D) {
  return make(definition, { value: 'yes|no', optional: true }, (name, given: boolean | string) => {
    if (typeof given === 'boolean') return given;
    if (given === 'yes' || given === 'no') return given === 'yes';
    throw usage(name, given, 'neither yes nor no');
  });
}

/** A whole number in a range. */
export function integer<const D extends Definition>(min: number, max: number, definition: D) {
  return make(definition, { value: 'N' }, (name, given: number | string) =>
    parseInteger(name, given, min, max),
  );
}

/** Milliseconds, written as `500ms`, `10s`, `5m`, `1h`. */
export function duration<const D extends Definition>(definition: D) {
  return make(
    definition,
    { value: 'TIME' },
    parseDuration as (name: string, given: number | string) => number,
  );
}

/** Bytes, written as `64KiB`, `8MiB`. @param range of valid sizes, with words for the error */
export function size<const D extends Definition>(
  definition: D,
  range?: { min: number; max: number; why: string },
) {
  return make(definition, { value: 'SIZE' }, (name, given: number | string) => {
    const bytes = parseSize(name, given);
    if (range && (bytes < range.min || bytes > range.max)) throw usage(name, String(given), range.why);
    return bytes;
  });
}

/** Written as `100Mbps`, `5000pps`. */
export function rate<const D extends Definition>(definition: D) {
  return make(definition, { value: 'RATE' }, parseRate as (name: string, given: string) => Rate);
}

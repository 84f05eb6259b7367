import { type MproxyError, parseDuration, parseSize } from 'mproxy-base';
import { type Place, Substituted, wrong } from './config-place.js';
import {
  isObject,
  type JsonSchema,
  type Key,
  type Keys,
  readTable,
  schemaOf,
  showTable,
  type ValuesOf,
} from './config-table.js';

interface Definition {
  name?: string;
  help: string;
  /** As a user writes it. Neither this nor `required`: the value is undefined where none is given. */
  default?: unknown;
  required?: true;
  /** Whether null is the same as no value. */
  nullable?: true;
  /** Whether the content of a file can be the value, by the key with `_file`. */
  orFile?: true;
  /** What a value is, where the kind of key says too little: `a host name`. */
  expected?: string;
}

type Needed<D, V> = D extends { default: unknown } | { required: true } ? V : V | undefined;
type Made<D, V> = Key<Needed<D, V>>;

/** Makes a kind of keys. */
function make<const D extends Definition, V>(
  definition: D,
  kind: Omit<Key<V>, 'name' | 'help' | 'default' | 'required' | 'nullable' | 'orFile'>,
): Made<D, V> {
  return { ...kind, ...definition, name: definition.name ?? '' } as unknown as Made<D, V>;
}

/** What is no text may come from the environment: `${NAME}`. */
function orVariable(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: 'string', pattern: '^\\$\\{\\w+\\}$' }] };
}

/** A text. @param check returns what is wrong with it, if anything; '': the expectation says it */
export function text<const D extends Definition>(
  definition: D,
  check?: (given: string) => string | undefined,
): Made<D, string> {
  const expected = definition.expected ?? 'a string';
  const read = (given: unknown, place: Place) => {
    const value = given instanceof Substituted ? given.text : given;
    if (typeof value !== 'string' || value === '') return wrong(place, given, expected);
    const why = check?.(value);
    return why === undefined ? value : wrong(place, given, expected, why);
  };
  return make(definition, { expected, schema: { type: 'string', minLength: 1 }, read });
}

/** A text that is read into a value. @param parse reports what is wrong, then returns undefined */
export function parsed<V, const D extends Definition & { expected: string }>(
  definition: D,
  parse: (given: string, place: Place) => V | undefined,
  show?: (value: V) => unknown,
): Made<D, V> {
  const { expected } = definition;
  const { read: readText, schema } = text({ ...definition, required: true });
  const read = (given: unknown, place: Place) => {
    const value = readText(given, place);
    return value === undefined ? undefined : parse(value, place);
  };
  return make(definition, { expected, schema, read, ...(show ? { show } : {}) });
}

/** One of some words. */
export function choice<const V extends string, const D extends Definition>(
  values: readonly V[],
  definition: D,
): Made<D, V> {
  const expected = `one of ${values.join(', ')}`;
  const read = (given: unknown, place: Place) => {
    const value = given instanceof Substituted ? given.text : given;
    return values.find((one) => one === value) ?? wrong(place, given, expected);
  };
  return make(definition, { expected, schema: orVariable({ enum: [...values] }), read });
}

export function toggle<const D extends Definition>(definition: D): Made<D, boolean> {
  const expected = 'true or false';
  const read = (given: unknown, place: Place) => {
    const value = given instanceof Substituted ? { true: true, false: false }[given.text] : given;
    return typeof value === 'boolean' ? value : wrong(place, given, expected);
  };
  return make(definition, { expected, schema: orVariable({ type: 'boolean' }), read });
}

export function integer<const D extends Definition>(
  min: number,
  max: number,
  definition: D,
): Made<D, number> {
  const expected =
    definition.expected ??
    (max === Number.MAX_SAFE_INTEGER ? `an integer from ${min} on` : `an integer from ${min} to ${max}`);
  const read = (given: unknown, place: Place) => {
    const value = given instanceof Substituted && /^\d+$/.test(given.text) ? Number(given.text) : given;
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
    return fits ? value : wrong(place, given, expected);
  };
  return make(definition, {
    expected,
    schema: orVariable({ type: 'integer', minimum: min, maximum: max }),
    read,
  });
}

/** Milliseconds, written as `500ms`, `10s`, `5m`, `1h`; a bare number is seconds. */
export function duration<const D extends Definition>(definition: D, min = 1): Made<D, number> {
  const least = min === 0 ? '' : min === 1 ? ', more than 0' : `, at least ${shownDuration(min)}`;
  const expected = `a duration like 500ms, 10s, 5m or 1h${least}`;
  const read = quantity(expected, parseDuration, min);
  return make(definition, { expected, schema: QUANTITY, read, show: shownDuration });
}

/** In the largest unit that it is a multiple of. */
function shownDuration(ms: number): string {
  const units = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  const [unit, size] = Object.entries(units).find(([, size]) => ms >= size && ms % size === 0) ?? ['s', 1000];
  return `${ms / size}${unit}`;
}

/** Bytes, written as `4096`, `64KiB`, `8MiB`, `1GB`. */
export function size<const D extends Definition>(definition: D, min = 0): Made<D, number> {
  const expected = `a size like 4096, 64KiB, 8MiB or 1GB${min === 0 ? '' : `, at least ${min}`}`;
  return make(definition, { expected, schema: QUANTITY, read: quantity(expected, parseSize, min) });
}

const QUANTITY: JsonSchema = { type: ['string', 'integer'] };

/** Reads an amount with its unit. */
function quantity(expected: string, parse: (name: string, given: string | number) => number, min: number) {
  return (given: unknown, place: Place) => {
    const value = given instanceof Substituted ? given.text : given;
    if (typeof value !== 'string' && typeof value !== 'number') return wrong(place, given, expected);
    try {
      const amount = parse('', value);
      return amount >= min ? amount : wrong(place, given, expected);
    } catch (error) {
      if ((error as MproxyError).code !== 'MPROXY_USAGE') throw error;
      return wrong(place, given, expected);
    }
  };
}

/** The path of a file or folder; relative ones start at the folder of the document. The value is absolute. */
export function path<const D extends Definition>(definition: D): Made<D, string> {
  const { expected, schema, read } = text({ expected: 'a path', ...definition, required: true });
  const absolute = (given: unknown, place: Place) => {
    const value = read(given, place);
    return value === undefined ? undefined : place.file(value);
  };
  return make(definition, { expected, schema, read: absolute });
}

/** A key that is known, but of which this version can do nothing. @param what it is for: `TLS` */
export function later(what: string): Key<undefined> & { later: true } {
  const read = (_: unknown, place: Place) => place.report(`this version has no ${what} yet`) as undefined;
  return { name: '', help: what, expected: '', schema: {}, later: true, read };
}

/** A list of values of one kind. `element` says what they are; its help is not shown. */
export function list<V, const D extends Definition>(
  element: Key<V>,
  definition: D,
  min = 0,
): Made<D, NonNullable<V>[]> {
  const expected =
    definition.expected ?? `a list${min > 0 ? ' that is not empty' : ''}, each ${element.expected}`;
  const read = (given: unknown, place: Place) => {
    if (!Array.isArray(given) || given.length < min) return wrong(place, given, expected);
    const values = given.map((one, index) => element.read(one, place.at(index)));
    return values.filter((one) => one !== undefined && one !== null) as NonNullable<V>[];
  };
  const show = (values: NonNullable<V>[]) => values.map((one) => (element.show ? element.show(one) : one));
  const schema = { type: 'array', items: element.schema, ...(min > 0 ? { minItems: min } : {}) };
  const { keys } = element;
  return make(definition, { expected, schema, read, show, ...(keys ? { keys } : {}) });
}

/** Values of one kind by names that the user chooses. @param check returns what is wrong with a name, if anything */
export function map<V, const D extends Definition>(
  element: Key<V>,
  definition: D,
  check?: (name: string) => string | undefined,
): Made<D, Record<string, NonNullable<V>>> {
  const expected = definition.expected ?? `an object of names, each with ${element.expected}`;
  const read = (given: unknown, place: Place) => {
    if (!isObject(given)) return wrong(place, given, expected);
    const values: [string, NonNullable<V>][] = [];
    for (const [name, one] of Object.entries(given)) {
      const why = check?.(name);
      if (why !== undefined) place.key(name).report(why);
      const value = element.read(one, place.key(name));
      if (value !== undefined && value !== null) values.push([name, value]);
    }
    return Object.fromEntries(values);
  };
  return make(definition, {
    expected,
    schema: { type: 'object', additionalProperties: element.schema },
    read,
  });
}

/** An object with a table of its own. @param check reports what is wrong between its values */
export function object<K extends Keys, const D extends Definition>(
  keys: K,
  definition: D,
  check?: (values: ValuesOf<K>, place: Place) => void,
): Made<D, ValuesOf<K>> {
  const read = (given: unknown, place: Place) => {
    const before = place.problemCount;
    const values = readTable(keys, given, place);
    if (values && place.problemCount === before) check?.(values, place);
    return values;
  };
  const show = (values: ValuesOf<K>) => showTable(keys, values);
  return make(definition, {
    expected: definition.expected ?? 'an object',
    schema: schemaOf(keys),
    keys,
    read,
    show,
  });
}

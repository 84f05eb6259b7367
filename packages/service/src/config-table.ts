import { readFileSync } from 'node:fs';
import { reason } from 'mproxy-base';
import { type Place, Substituted, wrong } from './config-place.js';

/**
 * One key of a configuration document. Its reader, its docs and its JSON Schema are derived from it. The kinds of keys are made by
 * `config-keys.ts`.
 */
export interface Key<Value = any> {
  /** In the document; '': the key of its table in snake case. */
  name: string;
  /** What a value is, after `expected`, and in the docs: `an integer from 1 to 65535`. */
  expected: string;
  help: string;
  /** As a user writes it. */
  default?: unknown;
  required?: true;
  /** Whether null is the same as no value. */
  nullable?: true;
  /** Whether the content of a file in UTF-8, without a newline at its end, can be the value, by the key with `_file`. */
  orFile?: true;
  /** Whether every value is an error, that says that it comes later. Docs and schema do not have it. */
  later?: true;
  /** The JSON Schema of a value. */
  schema: JsonSchema;
  /** The keys of an object, or of the objects of a list, for the docs. */
  keys?: Keys;
  /**
   * Reads a value that was given. What is wrong with it is reported to its place; then the result is undefined.
   */
  read(given: unknown, place: Place): Value | undefined;
  /** A value as a document has it, for `--check`; default: as it is. */
  show?(value: Value): unknown;
}

/** Keys by the name that the code uses for their values. */
export type Keys = Record<string, Key>;

/** The values of a table. */
export type ValuesOf<K extends Keys> = {
  [N in keyof K as K[N] extends { later: true } ? never : N]: K[N] extends Key<infer Value> ? Value : never;
};

export type JsonSchema = Record<string, unknown>;

/** The name of a key in a document: `strip_prefix`. */
export function keyName(key: string, { name }: Key): string {
  return name || key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** All names of a table in a document, with their keys. */
function namesOf(keys: Keys): Map<string, Key> {
  const names = Object.entries(keys).flatMap(([key, one]): [string, Key][] => {
    const name = keyName(key, one);
    return one.orFile
      ? [
          [name, one],
          [fileName(name), one],
        ]
      : [[name, one]];
  });
  return new Map(names);
}

function fileName(name: string): string {
  return `${name}_file`;
}

/**
 * Reads an object by its table: reports every key that is unknown, wrong or missing, and fills in defaults.
 * @param hint what to do instead of an unknown key, as `; give listen`; '': nothing is known
 * @returns undefined if it is no object; else all values, those that are wrong undefined
 */
export function readTable<K extends Keys>(
  keys: K,
  given: unknown,
  place: Place,
  hint: (name: string) => string = () => '',
): ValuesOf<K> | undefined {
  if (!isObject(given)) return wrong(place, given, 'an object');
  const names = namesOf(keys);
  for (const name of Object.keys(given))
    if (!names.has(name))
      place.key(name).report(`there is no such key${hint(name) || suggestion(name, [...names.keys()])}`);
  const values: Record<string, unknown> = {};
  for (const [key, one] of Object.entries(keys)) {
    const name = keyName(key, one);
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    const file = one.orFile && given[fileName(name)];
    if (value !== undefined && !(value === null && one.nullable)) {
      values[key] = one.read(value, place.key(name));
      if (file !== undefined) place.key(fileName(name)).report(`${name} is given, too; give one of the two`);
    } else if (file !== undefined) values[key] = readContent(one, file, place.key(fileName(name)));
    else if (one.required) place.key(name).report(`it is missing; expected ${one.expected}`);
    else if (!one.later)
      values[key] = one.default === undefined ? undefined : one.read(one.default, place.key(name));
  }
  return values as ValuesOf<K>;
}

function readContent(key: Key, given: unknown, place: Place): unknown {
  const path = given instanceof Substituted ? given.text : given;
  if (typeof path !== 'string' || path === '') return wrong(place, given, 'a path');
  try {
    return key.read(readFileSync(place.file(path), 'utf8').replace(/\r?\n$/, ''), place);
  } catch (error) {
    return wrong(place, given, 'a file that can be read', reason(error));
  }
}

/** The values of a table as a document has them, without those that are undefined. */
export function showTable<K extends Keys>(keys: K, values: ValuesOf<K>): Record<string, unknown> {
  const shown = Object.entries(keys).flatMap(([key, one]) => {
    const value = (values as Record<string, unknown>)[key];
    return value === undefined ? [] : [[keyName(key, one), one.show ? one.show(value) : value]];
  });
  return Object.fromEntries(shown);
}

/** The JSON Schema of an object. */
export function schemaOf(keys: Keys): JsonSchema {
  const names = [...namesOf(keys)].filter(([, { later }]) => !later);
  const required = names.filter(([, { required }]) => required).map(([name]) => name);
  const properties = names.map(([name, one]) => {
    if (one.orFile && name.endsWith('_file'))
      return [
        name,
        { description: `a file with the value of ${name.slice(0, -'_file'.length)}`, type: 'string' },
      ];
    const more = one.default === undefined ? {} : { default: one.default };
    const schema = one.nullable ? { anyOf: [one.schema, { type: 'null' }] } : one.schema;
    return [name, { description: one.help, ...schema, ...more }];
  });
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && isPlain(value);
}

/** Not a date of TOML, nor another value that is an object in JavaScript alone. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** `; did you mean NAME?`, or '' where none is near. */
export function suggestion(name: string, known: readonly string[]): string {
  const plain = name.toLowerCase().replaceAll('-', '_');
  const near = known
    .map((one) => ({ one, distance: one.startsWith(`${plain}_`) ? 1 : distance(plain, one) }))
    .filter(({ one, distance }) => distance <= Math.max(1, Math.floor(one.length / 3)))
    .toSorted((a, b) => a.distance - b.distance)[0];
  return near ? `; did you mean ${near.one}?` : '';
}

/** How many letters must be added, removed, replaced or swapped with their neighbour. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(changed, rows[i - 1]![j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

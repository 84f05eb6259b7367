import {
  entriesOf,
  type Flag,
  type FlagGroups,
  type FlagTable,
  firstGiven,
  flagName,
  listOf,
  usage,
} from 'mproxy-base';
import { type AddressRule, splitScheme, withoutSecrets } from 'mproxy-net/address';
import { KEYS, type KeyName, type Keys } from 'mproxy-net/keys';
import type { AnyValues, Endpoint, EndpointType, Role } from './endpoint.js';

export interface AddressDefinition {
  name?: string;
  help: string;
  /** Types that the flag accepts; an address without a scheme is of the first. */
  accept: readonly EndpointType[];
  roles: readonly Role[];
  /** Whether UDP carries a stream here, which has a frame of its own. */
  stream?: true;
  default?: string;
  /** What a value looks like; default `ADDR`, and the help goes on with the syntax. */
  value?: string;
  required?: readonly [why: string, advice?: string];
  /** Takes one address only. */
  single?: true;
}

type NameOf<D> = D extends { name: infer N extends string } ? N : '';

/** A flag whose values are addresses, parsed with the keys given as flags for their defaults. */
export interface AddressFlag<N extends string = string>
  extends Flag<string | string[], Endpoint[], N>,
    Pick<AddressDefinition, 'accept' | 'roles'> {}

export function addresses<const D extends AddressDefinition>(definition: D): AddressFlag<NameOf<D>> {
  const { accept, roles, single, value, required } = definition;
  // The scheme of the first type may be left out.
  const all = [...new Set(accept.map(({ syntax }) => syntax))].join(', ');
  const syntaxes = all.replace(new RegExp(`^${accept[0]!.schemes[0]}://`), '');
  const ending = single ? `; default ${definition.default}` : '; may repeat';
  const help = value ? definition.help : `${definition.help}: ${syntaxes}${ending}`;
  return {
    name: (definition.name ?? '') as NameOf<D>,
    ...{ value: value ?? 'ADDR', help, accept, roles, late: true },
    ...(!single && { repeats: true }),
    read: (given, flag, before) => {
      const texts = listOf(given ?? definition.default);
      if (required && (texts.length === 0 || texts[0] === '')) throw usage(flag, 'missing', ...required);
      if (single && texts.length > 1)
        throw usage(flag, texts.map(withoutSecrets).join(' '), 'given more than once');
      return texts.map((text) => parse(text, flag, definition, defaults(before)));
    },
  };
}

/** The keys of all address flags in some tables, for `keyFlags`. */
export function keysOf(groups: FlagGroups): KeyName[] {
  return addressFlags(groups).flatMap(([, { accept, roles }]) =>
    accept.flatMap((type) => typeKeys(type, roles)),
  );
}

/** The keys that only addresses of one type have, by the syntax of the type, for the help. */
export function ownKeysOf(groups: FlagGroups): [syntax: string, keys: FlagTable][] {
  const found: Record<string, FlagTable> = {};
  for (const [, { accept, roles }] of addressFlags(groups))
    for (const type of accept) found[type.syntax] = { ...found[type.syntax], ...ownKeys(type, roles) };
  return Object.entries(found).filter(([, table]) => Object.keys(table).length > 0);
}

/** Whether an address carries packets of MoldUDP64. */
export function isMold({ type }: Endpoint): boolean {
  return type.mold === true;
}

/** Whether peers send to or connect to an address: `--allow` limits who. */
export function isListener({ type }: Endpoint): boolean {
  return type.listens.length > 0;
}

/** The addresses of a command, each with its roles there. */
export type Uses = (readonly [Endpoint, ...Role[]])[];

/** Checks the values that the types of addresses use, and rejects flags that none of them uses. @throws MPROXY_USAGE */
export function checkUses(groups: FlagGroups, options: object, values: AnyValues, uses: Uses): void {
  for (const [{ type, address }, ...roles] of uses) type.check?.(values, roles, address);
  const types = new Set(addressFlags(groups).flatMap(([, { accept }]) => accept));
  // A table that the program does not have may name flags that it has from another: --tls-cert of listeners.
  const flags = new Set<unknown>(entriesOf(groups).map(([, flag]) => flag));
  const sets = [...types].flatMap((type) =>
    (type.flags ?? [])
      .filter(({ table }) => Object.values(table).some((flag) => flags.has(flag)))
      .map((set) => ({ type, ...set })),
  );
  const isUsed = ({ type, role, appliesTo }: (typeof sets)[number]) =>
    uses.some(
      ([endpoint, ...roles]) =>
        endpoint.type === type &&
        (role === undefined || roles.includes(role)) &&
        (appliesTo?.(endpoint.address.keys) ?? true),
    );
  const used = new Set(sets.filter(isUsed).map(({ table }) => table));
  // Types may share a table. The text of the last one listed is used, which is TCP's for TLS.
  for (const { table, type, role, unused } of sets.toReversed()) {
    const given = used.has(table) ? undefined : firstGiven(table, options);
    const [why, advice = adviceFor(groups, type, role)] = unused;
    if (given !== undefined) throw usage(given, '', why, advice);
  }
}

/** Names the flags whose addresses can be of a type in a role. */
function adviceFor(groups: FlagGroups, type: EndpointType, role: Role | undefined): string | undefined {
  const names = addressFlags(groups).filter(
    ([, { accept, roles }]) => accept.includes(type) && (role === undefined || roles.includes(role)),
  );
  return names.length > 0 ? `use ${names.map(([key, flag]) => flagName(key, flag)).join(' or ')}` : undefined;
}

function addressFlags(groups: FlagGroups): [key: string, AddressFlag][] {
  return entriesOf(groups).filter((entry): entry is [string, AddressFlag] => 'accept' in entry[1]);
}

function typeKeys({ keys }: EndpointType, roles: readonly Role[]): KeyName[] {
  return roles.flatMap((role) => keys[role] ?? []);
}

function ownKeys(type: EndpointType, roles: readonly Role[]): FlagTable {
  return Object.assign({}, ...roles.map((role) => type.ownKeys?.[role]));
}

function parse(text: string, flag: string, definition: AddressDefinition, keys: Keys): Endpoint {
  const { accept, roles, stream } = definition;
  const schemes = [...new Set(accept.flatMap((type) => type.schemes))];
  const { scheme = schemes[0] } = splitScheme(text);
  const types =
    scheme && schemes.length > 0 ? accept.filter((type) => type.schemes.includes(scheme)) : accept;
  if (types.length === 0)
    throw usage(
      flag,
      withoutSecrets(text),
      `${scheme}:// cannot be used here`,
      `known here: ${schemes.join(', ')}`,
    );
  const [type] = types;
  const { carries } = type!;
  const rule: AddressRule = {
    flag,
    schemes,
    keys: [...new Set(types.flatMap((one) => typeKeys(one, roles)))],
    ownKeys: Object.assign({}, ...types.map((one) => ownKeys(one, roles))),
    listens: type!.listens.some((role) => roles.includes(role)),
    ...(!(stream && carries === 'datagrams') && { carries }),
  };
  const address = type!.parse(text, rule, keys);
  return { type: types.find(({ claims }) => claims?.(address.keys) ?? true)!, address };
}

/** The keys among values that were read. */
function defaults(values: AnyValues): Keys {
  const given = Object.keys(KEYS).filter((key) => values[key] !== undefined && values[key].length !== 0);
  return Object.fromEntries(given.map((key) => [key, values[key]]));
}

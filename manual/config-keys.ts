import { GATEWAY } from 'mproxy-gateway/config/schema';
import { type Key, type Keys, keyName } from 'mproxy-service/config-table';
import { LAYERS } from 'mproxy-service/layers/types';

/** Tables of docs/gateway.md, made of the keys of the configuration. */

/** Of durations and sizes, which the page explains. */
const EXAMPLES = / like (?:500ms.*1h|4096.*1GB)/;

/** A table for the document, and one for each object within it. */
export function configTables(): string {
  const { routes, ...server } = GATEWAY;
  return [
    `### The document\n\n${table(GATEWAY)}`,
    ...objects(server).map(([name, keys]) => `### \`${name}\`\n\n${table(keys)}`),
    `### A route of \`routes\`\n\n${table(routes.keys!)}`,
    ...objects(routes.keys!).map(([name, keys]) => `### \`${name}\` of a route\n\n${table(keys)}`),
  ].join('\n\n');
}

/** A table for each layer. */
export function layerTables(): string {
  const layers = [...LAYERS.values()];
  return layers
    .map(({ type, help, keys }) => `### \`${type}\`\n\n${help}\n\n${table(flat(keys))}`)
    .join('\n\n');
}

/** The objects that have a table of their own. Layers have theirs elsewhere. */
function objects(keys: Keys): [name: string, keys: Keys][] {
  return Object.entries(keys).flatMap(([key, one]) => {
    const name = keyName(key, one);
    return one.keys && !LAYERS.has(name) ? [[name, one.keys]] : [];
  });
}

/** The keys of objects beside the others, by names like `request.set`. */
function flat(keys: Keys): Keys {
  const entries = Object.entries(keys).flatMap(([key, one]): [string, Key][] => {
    if (!one.keys) return [[key, one]];
    return Object.entries(flat(one.keys)).map(([inner, within]) => {
      const name = `${keyName(key, one)}.${keyName(inner, within)}`;
      return [name, { ...within, name }];
    });
  });
  return Object.fromEntries(entries);
}

/** A row for each key. */
function table(keys: Keys): string {
  const lines = rows(keys).map(
    (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`,
  );
  return ['| key | value | default | what |', '| --- | --- | --- | --- |', ...lines].join('\n');
}

function rows(keys: Keys): string[][] {
  return Object.entries(keys)
    .filter(([, { later }]) => !later)
    .map(([key, one]) => {
      const name = keyName(key, one);
      const help = one.orFile ? `${one.help}; or a file that has it: \`${name}_file\`` : one.help;
      return [`\`${name}\``, one.expected.replace(EXAMPLES, ''), defaultOf(one), help];
    });
}

function defaultOf({ default: given, required }: Key): string {
  if (required) return 'required';
  return given === undefined ? '' : `\`${typeof given === 'string' ? given : JSON.stringify(given)}\``;
}

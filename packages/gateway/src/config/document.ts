import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { reason, usage } from 'mproxy-base';
import { type Place, Substituted } from 'mproxy-service/config-place';
import { isObject } from 'mproxy-service/config-table';
import { importModule } from '#parts';
import { isService } from '../module-service.js';
import { SyntaxProblem } from './syntax-problem.js';

/** A configuration as it was written. */
export interface Document {
  value: unknown;
  /** Relative paths start here. */
  folder: string;
  /** For messages: the name of its file. */
  name: string;
  /** Whether `${NAME}` stands for the environment: not in modules, which can read it themselves. */
  hasVariables: boolean;
}

/**
 * Reads a file by its extension: JSON, TOML, or a module. The default export of a module is the configuration; or it is a service, and then
 * its export `config` is the rest of the configuration.
 * @throws MPROXY_USAGE a file that cannot be read, or is not in its language
 */
export async function readDocument(flag: string, path: string): Promise<Document> {
  const extension = extname(path).toLowerCase();
  const file = resolve(path);
  const document = { folder: dirname(file), name: basename(path), hasVariables: true };
  if (extension === '.js' || extension === '.mjs')
    return { ...document, value: await exported(flag, path, file), hasVariables: false };
  const parse = await parserOf(extension);
  if (!parse) throw usage(flag, path, 'not a configuration by its name', 'use .json, .toml, .js or .mjs');
  const text = await readText(flag, path, file);
  try {
    return { ...document, value: parse(text) };
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    const { line, column } = error.position;
    throw usage(`${document.name}:${line}:${column}`, '', error.message);
  }
}

/** Loaded only if it is needed. */
async function parserOf(extension: string): Promise<((text: string) => unknown) | undefined> {
  if (extension === '.json') return (await import('./json.js')).parseJson;
  if (extension === '.toml') return (await import('./toml.js')).parseToml;
  return undefined;
}

async function readText(flag: string, path: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw usage(flag, path, reason(error));
  }
}

async function exported(flag: string, path: string, file: string): Promise<unknown> {
  await readText(flag, path, file);
  const module = await imported(flag, path, file);
  const { default: value, config = {} } = module;
  if (value === undefined) throw usage(flag, path, 'it has no default export', 'export default { ... }');
  if (isService(value)) {
    if (!isObject(config)) throw usage(flag, path, 'its export config is no configuration object');
    return { ...config, service: file };
  }
  if (isObject(value)) return value;
  const problem = 'its default export is neither a configuration object nor a service';
  throw usage(flag, path, problem, 'export default { ... }');
}

/** What a module throws while it is loaded is the user's, whatever its class. */
async function imported(flag: string, path: string, file: string): Promise<Record<string, unknown>> {
  try {
    return await importModule(pathToFileURL(file).href);
  } catch (error) {
    throw usage(flag, path, `it cannot be loaded: ${String(error).replace(/\s+/g, ' ')}`);
  }
}

/** `${NAME}` in a text, and `$${`, which stands for `${`. */
const VARIABLE = /\$\$\{|\$\{([^}]*)\}?/g;

/** Replaces `${NAME}` in all texts of a value. What is missing is reported. */
export function substitute(value: unknown, place: Place, environment: NodeJS.ProcessEnv): unknown {
  if (Array.isArray(value)) return value.map((one, i) => substitute(one, place.at(i), environment));
  if (isObject(value)) {
    const entries = Object.entries(value);
    return Object.fromEntries(
      entries.map(([key, one]) => [key, substitute(one, place.key(key), environment)]),
    );
  }
  if (typeof value !== 'string' || !value.includes('${')) return value;
  const text = value.replace(VARIABLE, (found, name: string | undefined) => {
    if (name === undefined) return '${';
    if (!/^\w+$/.test(name) || !found.endsWith('}'))
      place.report(`${JSON.stringify(found)}: expected \${NAME}, or $\${ for \${ itself`);
    else if (environment[name] === undefined) place.report(`\${${name}}: the environment has no ${name}`);
    return environment[name] ?? '';
  });
  return /^\$\{\w+\}$/.test(value) ? new Substituted(text) : text;
}

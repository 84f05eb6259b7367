import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION } from 'mproxy-base';
import t from 'tap';

const root = fileURLToPath(new URL('../../', import.meta.url));
const packages = readdirSync(join(root, 'packages'));

const FOUNDATION = ['base', 'framing', 'net'];
/** What a package may import of ours. The library of a program (`index.ts`) may not import `command`. */
const MAY: Record<string, string[]> = {
  base: [],
  framing: ['base'],
  mold: ['framing'],
  net: ['base', 'framing'],
  http: ['base'],
  service: ['base', 'net', 'http'],
  flow: [...FOUNDATION, 'mold'],
  status: ['base', 'net', 'flow'],
  command: ['base', 'net', 'flow', 'status'],
  gateway: [...FOUNDATION, 'http', 'service', 'flow', 'status', 'command'],
  ...Object.fromEntries(
    ['client', 'server', 'forward', 'reverse'].map((name) => [name, [...FOUNDATION, 'flow', 'command']]),
  ),
};
const LIBRARY_ALONE = [...FOUNDATION, 'flow'];

t.test('imports point down only', (t) => {
  t.strictSame(packages.toSorted(), Object.keys(MAY).toSorted(), 'every package has its rule');
  for (const name of packages) {
    const source = join(root, 'packages', name, 'src');
    for (const file of sources(source)) {
      const isLibrary = file === 'index.ts' && MAY[name]!.includes('command');
      const may = isLibrary ? LIBRARY_ALONE : MAY[name]!;
      for (const target of imported(join(source, file))) {
        const outside =
          target.startsWith('.') && relative(source, join(source, dirname(file), target)).startsWith('..');
        const ours = /^mproxy-([a-z]+)/.exec(target)?.[1];
        const wrong = outside || (ours !== undefined && ours !== name && !may.includes(ours));
        if (wrong) t.fail(`packages/${name}/src/${file} imports ${target}`);
      }
    }
    const dependencies = Object.keys(manifest('packages', name).dependencies ?? {});
    const others = dependencies
      .filter((one) => one.startsWith('mproxy-'))
      .map((one) => one.slice('mproxy-'.length));
    t.strictSame(
      others.filter((one) => !MAY[name]!.includes(one)),
      [],
      `${name} depends on what it may`,
    );
  }
  t.end();
});

t.test('no files import each other, not even types, in a ring of any length', (t) => {
  const folders = [...packages.map((name) => join('packages', name, 'src')), 'bench', 'demo', 'manual'];
  for (const folder of folders) {
    const files = sources(join(root, folder));
    const imports = new Map(files.map((file) => [file, internal(folder, file)]));
    t.strictSame(ring(imports), [], folder);
  }
  t.strictSame(ring(new Map(Object.entries({ a: ['b'], b: ['c'], c: ['d', 'b'], d: [] }))), ['b', 'c', 'b']);
  t.end();
});

t.test('outside its folder, only the list of types knows the type nats', (t) => {
  const knowing = packages.flatMap((name) => {
    const source = join(root, 'packages', name, 'src');
    const files = sources(source).filter((file) =>
      /\bnats\b/i.test(readFileSync(join(source, file), 'utf8')),
    );
    return files.map((file) => join(name, file)).filter((file) => !file.startsWith('flow/endpoints/nats/'));
  });
  t.strictSame(knowing, ['flow/endpoints/types.ts']);
  t.end();
});

t.test('package.json has the version and what else all packages share', (t) => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/version.mjs', '--check'], { cwd: root });
  t.equal(status, 0, String(stderr));
  t.equal(VERSION, manifest().version);
  t.end();
});

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
}

/** The files of its folder that a file imports, those behind a name of package.json (`#...`) too. */
function internal(folder: string, file: string): string[] {
  const names = manifest(dirname(folder)).imports ?? {};
  return imported(join(root, folder, file)).flatMap((target) => {
    const paths = target.startsWith('#') ? Object.values(names[target]!) : [target];
    return paths.flatMap((path) => {
      if (!path.startsWith('.')) return [];
      const from = target.startsWith('#') ? path.replace('./dist/', '') : join(dirname(file), path);
      return [normalize(from).replace(/\.js$/, '.ts')];
    });
  });
}

/** The first ring that is found, from a file back to itself; empty where there is none. */
function ring(imports: Map<string, string[]>): string[] {
  const done = new Set<string>();
  const search = (file: string, path: string[]): string[] => {
    const at = path.indexOf(file);
    if (at >= 0) return [...path.slice(at), file];
    if (done.has(file)) return [];
    for (const next of imports.get(file) ?? []) {
      const found = search(next, [...path, file]);
      if (found.length > 0) return found;
    }
    done.add(file);
    return [];
  };
  for (const file of imports.keys()) {
    const found = search(file, []);
    if (found.length > 0) return found;
  }
  return [];
}

function imported(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);
}

interface Manifest {
  version: string;
  dependencies?: Record<string, string>;
  imports?: Record<string, Record<string, string>>;
}

function manifest(...path: string[]): Manifest {
  try {
    return JSON.parse(readFileSync(join(root, ...path, 'package.json'), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { version: '' };
    throw error;
  }
}

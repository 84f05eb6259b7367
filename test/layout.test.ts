import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION } from 'mproxy-route';
import t from 'tap';

const root = fileURLToPath(new URL('../../', import.meta.url));
const packages = readdirSync(join(root, 'packages'));

/** What a package may import of ours. The command line of the four may also import `command`. */
const MAY: Record<string, string[]> = {
  framing: [],
  udp: [],
  route: ['framing', 'udp'],
  command: ['route', 'udp'],
  ...Object.fromEntries(
    ['client', 'server', 'forward', 'reverse'].map((name) => [name, ['route', 'command']]),
  ),
};
const LIBRARY_ALONE = ['route'];

t.test('imports point down only', (t) => {
  t.strictSame(packages.toSorted(), Object.keys(MAY).toSorted(), 'every package has its rule');
  for (const name of packages) {
    const source = join(root, 'packages', name, 'src');
    for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('.ts'),
    )) {
      const isLibrary = file === 'index.ts' && MAY[name]!.includes('command');
      const may = isLibrary ? LIBRARY_ALONE : MAY[name]!;
      for (const target of imported(join(source, file))) {
        const outside =
          target.startsWith('.') && relative(source, join(source, dirname(file), target)).startsWith('..');
        const ours = /^mproxy-([a-z]+)/.exec(target)?.[1];
        const wrong = outside || (ours !== undefined && !may.includes(ours));
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

t.test('package.json has the version and what else all packages share', (t) => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/version.mjs', '--check'], { cwd: root });
  t.equal(status, 0, String(stderr));
  t.equal(VERSION, manifest().version);
  t.end();
});

function imported(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);
}

function manifest(...path: string[]): { version: string; dependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(join(root, ...path, 'package.json'), 'utf8'));
}

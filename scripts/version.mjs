// Writes what the root's package.json says of all packages into each of them, and its version wherever it stands.
// `--check` writes nothing and fails where something differs; `--release`, which npm version runs, dates the CHANGELOG.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const root = new URL('..', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');
const json = (value) => `${JSON.stringify(value, undefined, 2)}\n`;

const project = JSON.parse(read('package.json'));
const { version } = project;
const names = readdirSync(new URL('packages', root));

const files = {
  ...Object.fromEntries(names.map((name) => [`packages/${name}/package.json`, manifest(name)])),
  'package-lock.json': lockfile(),
  'packages/base/src/version.ts': read('packages/base/src/version.ts').replace(/'.*'/, `'${version}'`),
  'CHANGELOG.md': changelog(),
};
const different = Object.keys(files).filter((path) => files[path] !== read(path));
if (!process.argv.includes('--check')) {
  for (const path of different) writeFileSync(new URL(path, root), files[path]);
} else if (different.length > 0) {
  console.error(`not as package.json says: ${different.join(', ')}: run node scripts/version.mjs`);
  process.exitCode = 1;
}

function manifest(name) {
  const own = JSON.parse(read(`packages/${name}/package.json`));
  const { license, type, engines, repository, publishConfig } = project;
  const directory = `packages/${name}`;
  const shared = { version, license, type, engines, publishConfig };
  if (repository) shared.repository = { ...repository, directory };
  return json(exact({ ...own, ...shared }));
}

/** Packages of one version work together, and no others. */
function exact(entry) {
  const { dependencies = {} } = entry;
  for (const name of Object.keys(dependencies)) if (name.startsWith('mproxy-')) dependencies[name] = version;
  return entry;
}

function lockfile() {
  const lock = JSON.parse(read('package-lock.json'));
  lock.version = version;
  lock.packages[''].version = version;
  for (const name of names) exact(Object.assign(lock.packages[`packages/${name}`], { version }));
  return json(lock);
}

/** The first heading that has a number is that of this version; a release gives the day to what was unreleased. */
function changelog() {
  const text = read('CHANGELOG.md');
  if (!process.argv.includes('--release')) return text.replace(/^## \d[^,\n]*/m, `## ${version}`);
  if (!/^## .*unreleased$/im.test(text)) throw new Error('CHANGELOG.md: no heading says unreleased');
  return text.replace(/^## .*unreleased$/im, `## ${version}, ${new Date().toISOString().slice(0, 10)}`);
}

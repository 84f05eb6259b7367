import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Pages that may have TypeScript. */
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs')).map((file) => join('docs', file)),
  ...readdirSync(join(root, 'packages')).map((name) => join('packages', name, 'README.md')),
];

/** Blocks of TypeScript, by names for files. */
function blocks(page: string): [name: string, text: string][] {
  const found = readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n(.*?)^```/gms);
  return [...found].map(([, text], i) => [`${page.replaceAll('/', '-')}-${i}.mts`, text!]);
}

t.test('the TypeScript of the pages compiles', async (t) => {
  const files = Object.fromEntries(pages.flatMap(blocks));
  t.ok(Object.keys(files).length >= 7);
  const compilerOptions = {
    ...{ target: 'es2023', module: 'nodenext', strict: true, exactOptionalPropertyTypes: true, noEmit: true },
    types: ['node'],
  };
  const folder = t.testdir({
    ...files,
    'tsconfig.json': JSON.stringify({ compilerOptions, files: Object.keys(files) }),
  });
  const args = [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder];
  const end = await promisify(execFile)(process.execPath, args).catch((error) => error);
  t.equal(end.stdout, '');
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { configTables, layerTables } from '../../manual/config-keys.js';
import { start } from '../support/command.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const page = readFileSync(join(root, 'docs/gateway.md'), 'utf8');

/** The blocks of the page in a language, without the indentation of lists. */
function blocks(language: string): string[] {
  const found = page.matchAll(new RegExp(`^( *)\`\`\`${language}\\n(.*?)^ *\`\`\``, 'gms'));
  return [...found].map(([, indent, text]) => text!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''));
}

t.test('the documents of the page are valid', async (t) => {
  const documents = ['json', 'toml'].flatMap((type) => blocks(type).map((text) => ({ type, text })));
  t.equal(documents.length, 5);
  for (const { type, text } of documents) {
    const cwd = t.testdir({ [`g.${type}`]: text, dist: { assets: {} } });
    const gateway = start(t, 'gateway', ['--check', '--config', `g.${type}`], { cwd });
    t.equal(await gateway.exited, 0, gateway.stderr);
  }
});

t.test('the command lines of the page are valid', async (t) => {
  const lines = blocks('sh')
    .join('')
    .split('\n')
    .filter((line) => line !== '');
  t.ok(lines.length >= 5);
  for (const line of lines) {
    const args = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
    t.equal(args.shift(), 'mproxy-gateway');
    const gateway = start(t, 'gateway', [...args, '--check']);
    t.equal(await gateway.exited, 0, `${line}: ${gateway.stderr}`);
  }
});

t.test('the tables of the page are those of the keys', async (t) => {
  const between = (name: string) => page.split(`<!-- ${name} -->\n`)[1]?.split('\n<!-- end -->')[0];
  t.equal(between('keys'), configTables(), 'npm run help writes them');
  t.equal(between('layers'), layerTables());
});

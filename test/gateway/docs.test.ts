import t from 'tap';
import { configTables, layerTables } from '../../manual/config-keys.js';
import { start } from '../support/command.js';
import { blocks, commandLines, PAGE } from './page.js';
import { writePageFiles } from './page-files.js';

t.test('the documents of the page are valid', async (t) => {
  const documents = ['json', 'toml'].flatMap((type) => blocks(type).map((text) => ({ type, text })));
  t.equal(documents.length, 9);
  for (const { type, text } of documents) {
    const cwd = t.testdir({ [`g.${type}`]: text, dist: { assets: {} } });
    await writePageFiles(t, cwd);
    const gateway = start(t, 'gateway', ['--check', '--config', `g.${type}`], { cwd });
    t.equal(await gateway.exited, 0, gateway.stderr);
  }
});

t.test('the command lines of the page are valid', async (t) => {
  const lines = commandLines().filter((line) => line.startsWith('mproxy-gateway '));
  t.ok(lines.length >= 8);
  const [gateway, site] = blocks('json');
  const cwd = t.testdir({ 'gateway.json': gateway!, 'site.json': site!, 'app.mjs': blocks('js')[0]! });
  await writePageFiles(t, cwd);
  for (const line of lines) {
    const args = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
    const gateway = start(t, 'gateway', [...args.slice(1), '--check'], { cwd });
    t.equal(await gateway.exited, 0, `${line}: ${gateway.stderr}`);
  }
});

t.test('the tables of the page are those of the keys', async (t) => {
  const between = (name: string) => PAGE.split(`<!-- ${name} -->\n`)[1]?.split('\n<!-- end -->')[0];
  t.equal(between('keys'), configTables(), 'npm run help writes them');
  t.equal(between('layers'), layerTables());
});

// Puts the real --help of every command into its page in docs/, and the tables of counters and configuration keys, between
// their markers; and writes the JSON Schema of the configuration.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { configTables, layerTables } from '../build/manual/config-keys.js';
import { countersTable, metricsTable } from '../build/manual/counters.js';

import { jsonSchema } from '../packages/gateway/dist/config/schema.js';

const root = new URL('..', import.meta.url);

/** Replaces what a page has between `<!-- NAME -->` and `<!-- end -->`. */
function put(path, name, text) {
  const page = new URL(path, root);
  const between = new RegExp(`<!-- ${name} -->.*?<!-- end -->`, 's');
  const block = `<!-- ${name} -->\n${text}\n<!-- end -->`;
  writeFileSync(
    page,
    readFileSync(page, 'utf8').replace(between, () => block),
  );
}

for (const name of ['client', 'server', 'forward', 'reverse', 'gateway']) {
  const args = [`bin/mproxy-${name}`, '--help'];
  const help = execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  put(`docs/${name}.md`, 'help', `\`\`\`\n${help.trimEnd()}\n\`\`\``);
}
put('docs/operating.md', 'metrics', metricsTable());
put('docs/operating.md', 'counters', countersTable());
put('docs/gateway.md', 'keys', configTables());
put('docs/gateway.md', 'layers', layerTables());
const schema = 'packages/gateway/schema.json';
writeFileSync(new URL(schema, root), JSON.stringify(jsonSchema(), undefined, 2));
const biome = 'node_modules/@biomejs/biome/bin/biome';
execFileSync(process.execPath, [biome, 'format', '--write', schema], { cwd: root, stdio: 'ignore' });

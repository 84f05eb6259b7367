// Writes packages/gateway/bundle: the command and the thread of its workers, each in one file, as the npm package has them.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';

const folder = new URL('../packages/gateway/', import.meta.url);
const path = (file) => fileURLToPath(new URL(file, folder));
const { engines } = JSON.parse(readFileSync(path('package.json'), 'utf8'));

for (const name of ['cli', 'worker']) {
  const made = path(`bundle/${name}.new.js`);
  await bundle(`import ${JSON.stringify(path(`dist/${name}.js`))};`, made, {
    target: engines.node.replace('>=', 'node'),
    // The packages that are installed with it. Of its own, what a module of the user shares with a worker.
    external: ['commander', 'koffi', 'smol-toml', 'mproxy-gateway/*'],
    define: { 'import.meta.url': '__url' },
    banner: {
      js: `${name === 'cli' ? '#!/usr/bin/env node\n' : ''}const __url=require("node:url").pathToFileURL(__filename).href;`,
    },
  });
  // At once: a gateway of this clone may be running, and start a worker.
  renameSync(made, path(`bundle/${name}.js`));
}
// Unlike the modules of the package.
writeFileSync(path('bundle/package.json'), '{"type":"commonjs"}\n');

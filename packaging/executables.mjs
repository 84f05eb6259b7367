// Single executable applications (nodejs.org/api/single-executable-applications.html): a copy of Node with one more note
// in it, which holds the program as one script, the scripts of its threads and the native library.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { RESOLVER } from '../packages/net/dist/resolver/start.js';
import { bundle } from '../scripts/bundle.mjs';

const root = new URL('../', import.meta.url);
const out = new URL('dist/', root);
const work = new URL('build/package/', root);
const path = (url) => fileURLToPath(url);
const require = createRequire(import.meta.url);

/** The Node that the executables carry; it must also write what is put into it. */
const carried = require.resolve(`node-linux-${process.arch}/bin/node`);
const target = `node${execFileSync(carried, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim()}`;

const inject = require.resolve('postject/dist/cli.js');
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** What the executables have in them, and may only be handed on with. */
const licenses = [
  'LICENSE',
  'node_modules/commander/LICENSE',
  'node_modules/koffi/LICENSE.txt',
  'node_modules/smol-toml/LICENSE',
  `packaging/node_modules/node-linux-${process.arch}/LICENSE`,
];

export async function buildAll(say) {
  mkdirSync(out, { recursive: true });
  const texts = licenses.map((file) => `== ${file}\n\n${readFileSync(new URL(file, root), 'utf8')}`);
  writeFileSync(new URL('LICENSES', out), texts.join('\n'));
  mkdirSync(work, { recursive: true });
  const node = stripped(carried, say);
  const library = createRequire(new URL('packages/net/', root)).resolve(
    `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`,
  );
  const assets = {
    'koffi.node': library,
    'worker.js': await script(part('net/dist/linux/worker.js'), 'worker.js'),
    'page.html': path(new URL('packages/status/page.html', root)),
    'status.js': await script(part('status/dist/worker.js'), 'status.js'),
  };
  const worker = await script(part('gateway/dist/worker.js'), 'gateway-worker.js');
  for (const name of ['client', 'server', 'forward', 'reverse', 'gateway']) {
    const main = await script(entry(name), `${name}.js`);
    const file = new URL(`mproxy-${name}`, out);
    const own = name === 'gateway' ? { 'gateway-worker.js': worker } : {};
    executable(node, main, { ...assets, ...own }, path(file));
    say(`dist/mproxy-${name}: ${(statSync(file).size / 1e6).toFixed(1)} MB`);
  }
}

const part = (file) => `require(${JSON.stringify(path(new URL(`packages/${file}`, root)))});`;

/** A program, and its resolver process where it started itself to be that (carried.ts of packages/net). */
function entry(name) {
  const isResolver = `process.env.${RESOLVER} && process.send`;
  return `if (${isResolver}) ${part('net/dist/resolver/child.js')} else ${part(`${name}/dist/cli.js`)}`;
}

/** A script for executables. One in an executable has no place that a file could be beside. */
async function script(contents, name) {
  const outfile = path(new URL(name, work));
  await bundle(contents, outfile, { target, conditions: ['mproxy-executable'] });
  return outfile;
}

/** A copy without the tables that only debuggers read; what libraries find by name stays (strip(1)). */
function stripped(file, say) {
  const copy = path(new URL('node', work));
  copyFileSync(file, copy);
  try {
    execFileSync('strip', [copy], { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    say('they are not stripped, as strip (of binutils) is not installed');
  }
  return copy;
}

function executable(node, main, assets, file) {
  const blob = path(new URL('blob', work));
  const config = path(new URL('sea.json', work));
  writeFileSync(
    config,
    JSON.stringify({
      main,
      output: blob,
      assets,
      disableExperimentalSEAWarning: true,
      useCodeCache: true,
      // NODE_OPTIONS is meant for other programs, with a Node of another version.
      execArgvExtension: 'none',
    }),
  );
  execFileSync(carried, ['--experimental-sea-config', config], { stdio: 'pipe' });
  // Made beside and then renamed: one that runs is not written into.
  const made = `${file}.new`;
  copyFileSync(node, made);
  execFileSync(process.execPath, [inject, made, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE], {
    // It warns of section names that it does not need.
    stdio: 'pipe',
  });
  renameSync(made, file);
  rmSync(blob);
}

// npm test: types and lint, then every test; what behaves is then run again on the node engine, where another is the default.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';

const root = new URL('..', import.meta.url);
const step = (what, args, env = {}) => {
  console.log(`\n== ${what}`);
  const options = { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } };
  const { status } = spawnSync(process.execPath, args, options);
  if (status !== 0) process.exit(status ?? 1);
};
const tap = 'node_modules/.bin/tap';
const tests = (folders) => folders.map((name) => `build/test/${name}/*.test.js`);
/** These load the machine, or time themselves: one after the other. */
const alone = ['client', 'mold', 'server', 'udp'];
const together = ['forward', 'reverse', 'lan', 'chain', 'socat'];
// Other tests of mold name the engine themselves, or need none.
const mold = ['deaf', 'plain', 'repair', 'stray'].map((name) => `build/test/mold/${name}.test.js`);

const starts = ['name-server', 'no-ipv6'].map((name) => `build/test/commands/${name}.test.js`);

step('install and types', ['scripts/prepare.mjs']);
step('lint', ['node_modules/@biomejs/biome/bin/biome', 'check', '.']);
// The runner builds its own parts for the plugins that package.json names.
step('test runner', [tap, 'build']);
const folders = readdirSync(new URL('build/test', root), { recursive: true })
  .filter((path) => path.endsWith('.test.js'))
  .map((path) => dirname(path));
const others = [...new Set(folders)].filter((folder) => !alone.includes(folder));
step('tests', [tap, '--jobs=2', ...tests(others)]);
step('tests that want the machine for themselves', [tap, '--jobs=1', ...tests(alone)]);
if (process.platform === 'linux') {
  const node = { ENGINE: 'node' };
  step('behaviour on the node engine', [tap, '--jobs=2', ...tests(together), ...starts], node);
  step(
    'behaviour on the node engine, one after the other',
    [tap, '--jobs=1', ...tests(['client', 'server']), ...mold],
    node,
  );
}

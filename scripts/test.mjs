// npm test: types and lint, then every test; what behaves is then run again on the node engine, where another is the default.
import { spawnSync } from 'node:child_process';

const root = new URL('..', import.meta.url);
const step = (what, args, env = {}) => {
  console.log(`\n== ${what}`);
  const options = { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } };
  const { status } = spawnSync(process.execPath, args, options);
  if (status !== 0) process.exit(status ?? 1);
};
const tap = 'node_modules/.bin/tap';
// Other tests of mold name the engine themselves, or need none.
const mold = ['deaf', 'hops', 'late', 'outage', 'plain', 'repair', 'stray'].map((name) => `mold/${name}`);
const folders = ['client', 'server', 'forward', 'reverse', 'lan', 'chain', 'socat'].map(
  (name) => `${name}/*`,
);
const behaviour = [...folders, ...mold].map((path) => `build/test/${path}.test.js`);

step('install and types', ['scripts/prepare.mjs']);
step('lint', ['node_modules/@biomejs/biome/bin/biome', 'check', '.']);
// The runner builds its own parts for the plugins that package.json names.
step('test runner', [tap, 'build']);
step('tests', [tap]);
if (process.platform === 'linux') {
  step('behaviour on the node engine', [tap, ...behaviour], { ENGINE: 'node' });
}

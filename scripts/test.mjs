// The suites: npm test, npm run test:peers, test:package and test:long. Each runs folder by folder, and prints the seconds
// of each. A test file says by its name to which it belongs: *.test.ts, *.peers.ts, *.package.ts, *.long.ts.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const TAP = 'node_modules/.bin/tap';
/** The official build that the executables carry. */
const NODE_24 = `packaging/node_modules/node-linux-${process.arch}/bin/node`;
/** These load the machine, or time themselves: their files run one after the other. */
const ALONE = ['client', 'delivery', 'server', 'net'];
/** What moves data, by the real commands. */
const PROGRAMS = ['chain', 'client', 'forward', 'gateway', 'reverse', 'server'];
/** Of the gateway, what starts the command: other tests have it in their own process. */
const BY_COMMAND =
  /^gateway\/(attacks-fields|leaving|listeners|max-connections|strict-\w+|truncated|upstream-deaths)\.test/;
/** Of the gateway, what is above the engine, so that it is not run once more under another Node. */
const ABOVE_ENGINE =
  /^gateway\/(access-log|attacks-\w+|client-(limit|timeouts)|config-\w+|dev-servers|docs|port-\w+|random-input|slow|static|stop|upstream-timeouts)\.test/;
/** Elsewhere, what depends on the engine and does not choose it itself. */
const ON_BOTH = /^(delivery\/(deaf|plain|repair|stray)|commands\/(name-server|no-ipv6|interface-list))\.test/;

const SUITES = {
  test() {
    program('lint', 'node_modules/@biomejs/biome/bin/biome', 'check', '.');
    run('test');
  },
  peers() {
    run('peers');
    // Elsewhere it is the default.
    if (process.platform !== 'linux') return;
    const onNode = { env: { ENGINE: 'node' }, note: ' on the node engine' };
    run('test', { ...onNode, only: (file) => PROGRAMS.includes(folderOf(file)) || ON_BOTH.test(file) });
    run('peers', { ...onNode, only: (file) => ['gateway', 'lan', 'socat'].includes(folderOf(file)) });
  },
  package() {
    program('executables', 'packaging/main.mjs');
    const packaged = { env: { PACKAGED: '1' }, note: ' by the executables' };
    run('package', packaged);
    run('test', {
      ...packaged,
      only: (file) =>
        ['chain', 'status', 'tls'].includes(folderOf(file)) || ON_BOTH.test(file) || BY_COMMAND.test(file),
    });
    // The executables carry Node 24: what they ran is not run again.
    const inner = ['net', 'http', 'service', 'flow', ...PROGRAMS.filter((name) => name !== 'chain')];
    run('test', {
      node: NODE_24,
      note: ' under Node 24',
      only: (file) => inner.includes(folderOf(file)) && !BY_COMMAND.test(file) && !ABOVE_ENGINE.test(file),
    });
  },
  long() {
    run('long', { timeout: 1200 });
  },
};

/** What took so many seconds, in order. */
const times = [];
const totals = {};
const failures = [];
/** Tests that were skipped, with their reasons. */
const skipped = [];
const name = process.argv[2] ?? 'test';
if (!Object.hasOwn(SUITES, name)) fail(`no suite ${name}: there is ${Object.keys(SUITES).join(', ')}`);
/** Where a run of tap prints (Test Anything Protocol). */
const output = join(tmpdir(), `mproxy-test-${process.pid}.tap`);
process.on('exit', () => rmSync(output, { force: true }));

program('install and types', 'scripts/prepare.mjs');
// The runner builds its own parts for the plugins that package.json names.
program('test runner', TAP, 'build');
const all = readdirSync(join(root, 'test'), { recursive: true });
SUITES[name]();
report();

/** Runs the test files of a kind, folder by folder. */
function run(kind, { only = () => true, env = {}, note = '', node, timeout = 300 } = {}) {
  const files = all.filter((file) => file.endsWith(`.${kind}.ts`) && only(file)).sort();
  for (const folder of new Set(files.map(folderOf))) {
    const options = [`--timeout=${timeout}`, `--jobs=${ALONE.includes(folder) ? 1 : 2}`, '--reporter=tap'];
    const own = files.filter((file) => folderOf(file) === folder).map(built);
    tap(`${folder}${note}`, [TAP, ...options, ...own], { env, node });
  }
}

/** Runs tap, and prints a line for each test file; of one that failed, all that it printed. */
function tap(what, args, options) {
  const stdout = openSync(output, 'w');
  const status = step(what, args, { ...options, stdout });
  closeSync(stdout);
  const text = readFileSync(output, 'utf8');
  for (const [block, result] of text.matchAll(/^(?:# Subtest: [\s\S]*?\n)?((?:not )?ok \d.*)$/gm))
    console.log(result.startsWith('not') ? block : result);
  for (const [line, reason] of text.matchAll(/^ *ok .*# SKIP (.*)$/gm))
    skipped.push({ test: `${what}: ${line.trim()}`, reason });
  for (const [, key, count] of (/^# \{ (total: .*) \}$/m.exec(text)?.[1] ?? '').matchAll(/(\w+): (\d+)/g))
    totals[key] = (totals[key] ?? 0) + Number(count);
  if (status !== 0) failures.push(what);
}

function program(what, ...args) {
  if (step(what, args, {}) !== 0) fail(`failed: ${what}`);
}

/** @returns the exit status */
function step(what, args, { env = {}, node = process.execPath, stdout = 'inherit' }) {
  console.log(`\n== ${what}`);
  const start = performance.now();
  const options = { cwd: root, stdio: ['ignore', stdout, 'inherit'], env: { ...process.env, ...env } };
  const { status } = spawnSync(node, args, options);
  times.push([what, (performance.now() - start) / 1000]);
  return status;
}

/** With CI=true a test that was skipped for a reason that MAY_SKIP does not have, one a line, is a failure. */
function report() {
  console.log('\n== seconds');
  for (const [what, seconds] of times) console.log(`${seconds.toFixed(1).padStart(7)}  ${what}`);
  const { pass = 0, fail: failed = 0, skip = 0 } = totals;
  console.log(`\n${pass} passed, ${failed} failed, ${skip} skipped`);
  if (failures.length > 0) fail(`failed: ${failures.join(', ')}`);
  const accepted = (process.env.MAY_SKIP ?? '').split('\n').map((line) => line.trim());
  const wrong = skipped.filter(({ reason }) => !accepted.includes(reason));
  for (const { test } of wrong) console.log(`skipped: ${test}`);
  if (process.env.CI === 'true' && wrong.length > 0)
    fail(`${wrong.length} tests were skipped that must run here`);
}

function built(file) {
  return `build/test/${file.replace(/ts$/, 'js')}`;
}

function folderOf(file) {
  return file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : '.';
}

function fail(text) {
  console.error(`mproxy: ${text}`);
  process.exit(1);
}

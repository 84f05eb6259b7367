// The suites: npm test, npm run test:peers, test:package and test:long. A test file says by its name to which it belongs:
// *.test.ts, *.peers.ts, *.package.ts, *.long.ts. Each file is a program that prints what it found (Test Anything Protocol). They
// are started here rather than by the runner of tap, which has Node load hooks in each thread: that takes the threads of a gateway
// eight times as long to start.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The official build that the executables carry. */
const NODE_24 = `packaging/node_modules/node-linux-${process.arch}/bin/node`;
/** Test files that run at the same time. */
const JOBS = 2;
/** A hundred programs at once: runs last, and alone. */
const ALONE = /^delivery\/hundred\.test/;
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
  async test() {
    program('lint', 'node_modules/@biomejs/biome/bin/biome', 'check', '.');
    await run('test');
  },
  async peers() {
    await run('peers');
    // Elsewhere it is the default.
    if (process.platform !== 'linux') return;
    const onNode = { env: { ENGINE: 'node' }, note: ' on the node engine' };
    await run('test', { ...onNode, only: (file) => PROGRAMS.includes(folderOf(file)) || ON_BOTH.test(file) });
    await run('peers', { ...onNode, only: (file) => ['gateway', 'lan', 'socat'].includes(folderOf(file)) });
  },
  async package() {
    program('executables', 'packaging/main.mjs');
    const packaged = { env: { PACKAGED: '1' }, note: ' by the executables' };
    await run('package', packaged);
    await run('test', {
      ...packaged,
      only: (file) =>
        ['chain', 'status', 'tls'].includes(folderOf(file)) || ON_BOTH.test(file) || BY_COMMAND.test(file),
    });
    // The executables carry Node 24: what they ran is not run again, but what is nearest to Node.
    const inner = ['net', 'http', 'gateway'];
    await run('test', {
      node: NODE_24,
      note: ' under Node 24',
      only: (file) => inner.includes(folderOf(file)) && !BY_COMMAND.test(file) && !ABOVE_ENGINE.test(file),
    });
  },
  async long() {
    await run('long', { timeout: 1200 });
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

program('install and types', 'scripts/prepare.mjs');
const all = readdirSync(join(root, 'test'), { recursive: true });
await SUITES[name]();
report();

/** Runs the test files of a kind. @param timeout of a file, in seconds */
async function run(
  kind,
  { only = () => true, env = {}, note = '', node = process.execPath, timeout = 300 } = {},
) {
  const what = `${kind}${note}`;
  console.log(`\n== ${what}`);
  const start = performance.now();
  const files = all.filter((file) => file.endsWith(`.${kind}.ts`) && only(file)).sort();
  const options = { what, node, timeout, env: { ...process.env, ...env, TAP_TIMEOUT: timeout } };
  await inTurn(
    JOBS,
    files.filter((file) => !ALONE.test(file)),
    options,
  );
  await inTurn(
    1,
    files.filter((file) => ALONE.test(file)),
    options,
  );
  times.push([what, (performance.now() - start) / 1000]);
}

/** Runs so many files at once. */
async function inTurn(jobs, files, options) {
  const left = files.values();
  const work = async () => {
    for (const file of left) await runFile(file, options);
  };
  await Promise.all(Array.from({ length: jobs }, work));
}

/** Runs a file, and prints a line; if it failed, all that it printed. */
async function runFile(file, { what, node, timeout, env }) {
  const start = performance.now();
  const path = join(tmpdir(), `mproxy-test-${process.pid}-${file.replaceAll('/', '-')}.tap`);
  // A file, not a pipe: a process that a test left behind would hold it open.
  const output = openSync(path, 'w');
  const child = spawn(node, [built(file)], { cwd: root, stdio: ['ignore', output, 'inherit'], env });
  closeSync(output);
  // The test ends itself before, and says where it was.
  const killer = setTimeout(() => child.kill('SIGKILL'), (timeout + 30) * 1000);
  const [status, signal] = await once(child, 'exit');
  clearTimeout(killer);
  const text = readFileSync(path, 'utf8');
  rmSync(path);
  const passed = count(text, `${what}: ${file}`) && status === 0;
  if (!passed) failures.push(`${what}: ${file}${signal ? ` (${signal})` : ''}`);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${passed ? '' : `${text}\nnot `}ok ${file} (${seconds} s)`);
}

/** Counts what a file printed. @returns whether it printed its totals */
function count(text, test) {
  for (const [line, reason] of text.matchAll(/^ *ok .*# SKIP (.*)$/gm))
    skipped.push({ test: `${test}: ${line.trim()}`, reason });
  const counts = /^# \{ (total: .*) \}$/m.exec(text)?.[1];
  for (const [, key, count] of (counts ?? '').matchAll(/(\w+): (\d+)/g))
    totals[key] = (totals[key] ?? 0) + Number(count);
  return counts !== undefined;
}

/** Runs a script of this project. */
function program(what, ...args) {
  console.log(`\n== ${what}`);
  const start = performance.now();
  const { status } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  times.push([what, (performance.now() - start) / 1000]);
  if (status !== 0) fail(`failed: ${what}`);
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

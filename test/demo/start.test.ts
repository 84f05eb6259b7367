import { readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { noServer } from '../nats/server.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { alive, demonstrate, exit, hopsOf, leavesNothing, out } from './demonstrate.js';

const READERS = ['TCP reader 1', 'TCP reader 2', 'file', 'TCP reader 3', 'TLS reader 4', 'TLS reader 5'];

// What is run takes its time, more of it on a busy machine.
t.setTimeout(300_000);

t.test('the generated feed: every reader gets it whole, within the promised time', async (t) => {
  const started = performance.now();
  const demo = demonstrate(t, []);
  t.equal(await exit(demo), 0, demo.stderr);
  // About 10 s on an idle machine.
  t.ok(performance.now() - started < 90_000, 'it ends by itself');
  for (const reader of READERS) t.match(out(demo), identical(reader));
  t.match(out(demo), /20,000 AIS position reports/);
  for (const hop of ['client', 'forward', 'reverse A', 'reverse B', 'server']) {
    const lines = out(demo).match(new RegExp(`^ *\\d+ s  mproxy-${hop} +[\\d,]+ datagrams`, 'gm')) ?? [];
    t.ok(lines.length >= 5, `a line a second for ${hop}: ${lines.length}`);
  }
});

t.test('by a subject of a NATS server: every reader gets it whole', { skip: noServer }, async (t) => {
  const folder = t.testdir();
  const env = { ...process.env, TMPDIR: folder };
  const demo = demonstrate(t, ['nats', '--path', file(t, 'a line of thirty characters.\n'.repeat(8000))], {
    env,
  });
  t.equal(await exit(demo), 0, demo.stderr);
  for (const reader of READERS) t.match(out(demo), identical(reader));
  t.match(out(demo), /messages to nats:\/\/127\.0\.0\.1:\d+\/demo/);
  t.strictSame(
    readdirSync(folder).filter((name) => name.startsWith('mproxy')),
    [],
    'its files are removed',
  );
});

t.test('bytes from stdin, of any kind and without a newline at the end', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const demo = demonstrate(t, ['--path', '-']);
  demo.child.stdin!.end(random.bytes(200_000));
  t.equal(await exit(demo), 0, demo.stderr);
  for (const reader of READERS) t.match(out(demo), identical(reader));
  t.match(out(demo), 'the 200,000 bytes');
});

t.test('an empty file', async (t) => {
  const demo = demonstrate(t, ['--path', file(t, '')]);
  t.equal(await exit(demo), 0, demo.stderr);
  t.match(out(demo), 'All 6 readers got the 0 bytes');
});

t.test(
  'a hop that dies: its readers are told to be short, the others identical, and it ends with 1',
  async (t) => {
    const demo = demonstrate(t, ['--path', file(t, 'a line of thirty characters.\n'.repeat(8000))]);
    await until('something arrived', () => /TLS reader 5 +\d+\.\d kB/.test(out(demo)), 60_000);
    const [, pid] = /^ +(\d+) +mproxy-reverse .*tls:/m.exec(out(demo)) ?? [];
    process.kill(Number(pid), 'SIGKILL');
    t.equal(await exit(demo), 1);
    for (const reader of READERS.slice(0, 3)) t.match(out(demo), identical(reader));
    for (const reader of READERS.slice(3))
      t.match(out(demo), new RegExp(`${reader} .* ✘ [\\d,]+ bytes missing`));
    t.match(out(demo), 'mproxy-reverse B ended by SIGKILL');
    t.match(out(demo), '3 of 6 readers did not get');
  },
);

t.test('asked to end: nothing is left behind', async (t) => {
  await leavesNothing(t, [], /TLS reader 5 +\d+\.\d kB/, 5);
});

t.test('a reader of its output that goes away: it ends, and nothing is left behind', async (t) => {
  const folder = t.testdir();
  const demo = demonstrate(t, [], { env: { ...process.env, TMPDIR: folder } });
  await until('something arrived', () => /TLS reader 5 +\d+\.\d kB/.test(out(demo)), 60_000);
  const pids = hopsOf(demo);
  demo.child.stdout!.destroy();
  t.equal(await exit(demo), 1);
  t.strictSame(pids.filter(alive), []);
  t.strictSame(readdirSync(folder), []);
});

t.test('what cannot be sent is said in one line', async (t) => {
  const cases: [string[], number, RegExp][] = [
    [['--path', join(tmpdir(), 'no such file')], 1, /^mproxy: .*no such file.*\n$/],
    [['--path', tmpdir()], 1, /^mproxy: not a regular file.*\n$/],
    [['kafka'], 2, /^mproxy: kafka: only nats or gateway is known here\n$/],
    [['gateway', '--path', 'x'], 2, /^mproxy: --path: gateway sends data of its own\n$/],
    [['--pth', 'x'], 2, /^mproxy: .*--pth.*\n$/],
  ];
  for (const [args, status, line] of cases) {
    const demo = demonstrate(t, args);
    t.equal(await exit(demo), status);
    t.match(demo.stderr, line);
  }
  // The test starts it by env(1).
  const bin = t.testdir({ env: t.fixture('symlink', '/usr/bin/env') });
  const without = demonstrate(t, ['nats'], { env: { ...process.env, PATH: bin } });
  t.equal(await exit(without), 1);
  t.match(without.stderr, /^mproxy: nats-server: not installed; on Debian: apt install nats-server\n$/);
  const help = demonstrate(t, ['--help']);
  t.equal(await exit(help), 0);
  t.match(out(help), /^Usage: npm start/);
});

/** The reader's line in the last picture. */
function identical(reader: string): RegExp {
  return new RegExp(`${reader} +━+ .* ✔ identical`);
}

function file(t: Test, text: string): string {
  const path = join(t.testdir(), 'input');
  writeFileSync(path, text);
  return path;
}

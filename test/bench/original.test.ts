import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { noHosts } from '../../bench/hosts.js';
import { fullLoads } from '../../bench/loads.js';
import { checkOriginal, named, original } from '../../bench/original.js';
import { launcher } from '../support/command.js';
import { NAMES, record, script, standIns } from './stand-ins.js';

const MAIN = fileURLToPath(new URL('../../bench/main.js', import.meta.url));
const REMEDY = 'name the folder with the four executables of the Rust original';

t.test('the version is what cargo recorded beside the folder', (t) => {
  const folder = standIns(t);
  t.equal(checkOriginal(folder), undefined, 'no record');
  record(folder, Object.fromEntries(NAMES.map((name) => [name, '0.1.8'])));
  t.equal(checkOriginal(folder), '0.1.8');
  t.equal(checkOriginal(`${folder}/`), '0.1.8', 'with a slash at the end');
  t.equal(named(original(folder)), 'original (Rust) 0.1.8');
  record(folder, { ...Object.fromEntries(NAMES.map((name) => [name, '0.1.8'])), 'mproxy-server': '0.1.7' });
  t.equal(checkOriginal(folder), '0.1.8 and 0.1.7', 'its programs differ');
  record(folder, { 'mproxy-client': '0.1.8' });
  t.equal(checkOriginal(folder), undefined, 'a record of one alone');
  t.equal(named(original(folder)), 'original (Rust), version unknown');
  t.end();
});

t.test('a folder without the original is an error that says what is missing', (t) => {
  const folder = standIns(t);
  const refused = (what: string) => {
    const message = `MPROXY_RS: ${folder}: ${what}; ${REMEDY}`;
    t.throws(() => checkOriginal(folder), { message }, what);
  };
  script(
    folder,
    'mproxy-reverse',
    `exec env -u NODE_OPTIONS ${process.execPath} ${launcher('reverse')} "$@"`,
  );
  refused('mproxy-reverse --help: not the help of the original');
  script(folder, 'mproxy-reverse', 'exit 3');
  refused('mproxy-reverse --help: ended with status 3');
  chmodSync(join(folder, 'mproxy-server'), 0o644);
  refused('not executable: mproxy-server');
  rmSync(join(folder, 'mproxy-client'));
  rmSync(join(folder, 'mproxy-forward'));
  refused('lacks mproxy-client, mproxy-forward');
  rmSync(folder, { recursive: true });
  refused('no such folder');
  t.end();
});

t.test('the bench ends with 2 before it measures', (t) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, '--quick', '--role', 'latency'], {
    encoding: 'utf8',
    env: { ...process.env, MPROXY_RS: '/nonexistent/bin' },
  });
  t.equal(
    stderr,
    `bench: MPROXY_RS: /nonexistent/bin: no such folder; ${REMEDY}; npm run bench -- --help lists the options\n`,
  );
  t.equal(stdout, '');
  t.equal(status, 2);
  t.end();
});

t.test('the help explains MPROXY_RS', (t) => {
  const { status, stdout } = spawnSync(process.execPath, [MAIN, '--help'], { encoding: 'utf8' });
  t.equal(status, 0);
  t.match(stdout, /^ {2}MPROXY_RS=DIR /m);
  t.match(stdout, `cargo install --root WHERE ${NAMES.join(' ')}\n`);
  t.end();
});

t.test('it has a part in what it can do', (t) => {
  const { command } = original(standIns(t));
  const place = { in: 1, out: 2, file: 'file' };
  const loads = fullLoads().filter(({ role }) => role !== 'repair');
  const taken = (role: string) =>
    loads.filter((load) => load.role === role && command(load, place)).map(({ name }) => name);
  const all = (role: string) => loads.filter((load) => load.role === role).map(({ name }) => name);
  for (const role of ['relay', 'server', 'latency']) t.strictSame(taken(role), all(role), role);
  t.strictSame(taken('client'), ['lines, default flags, 500 MB']);
  t.strictSame(taken('group'), noHosts() === undefined ? ['1400 B, 10,000/s, 1 client'] : []);
  t.end();
});

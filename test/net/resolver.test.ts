import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { hasHost, isFilesFirst } from 'mproxy-net/resolver/hosts';
import { Resolver } from 'mproxy-net/resolver/resolver';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';

/** Answers for a name that is an address, with itself; dies at `crash`, fails at `none`, and is silent for `dead*`. */
const CHILD = `
process.on('message', ({ id, host }) => {
  if (host === 'crash') process.exit(1);
  if (host === 'none') process.send({ id, code: 'ENOTFOUND' });
  else if (!host.startsWith('dead')) process.send({ id, addresses: [host + '.1.1.1'] });
});
process.send({ id: 0 });
`;
const never = new AbortController().signal;

/** A resolver whose processes run the script. */
function prepare(t: Test, { script = CHILD, longest = 30_000 } = {}) {
  const file = join(t.testdir({ 'child.cjs': script }), 'child.cjs');
  const children: ChildProcess[] = [];
  const resolver = new Resolver(() => {
    const child = fork(file, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [], env: {} });
    children.push(child);
    return child;
  }, longest);
  t.teardown(() => {
    for (const child of children) child.kill('SIGKILL');
  });
  const ended = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;
  return { resolver, children, allEnded: () => until('they ended', () => children.every(ended)) };
}

t.test('a name is answered by one process for all, which a silent name does not hold up', async (t) => {
  const { resolver, children, allEnded } = prepare(t);
  const stop = new AbortController();
  const dead = Array.from({ length: 20 }, (_, i) => resolver.lookUp(`dead${i}`, stop.signal));
  const ends = Promise.allSettled(dead);
  t.strictSame(await resolver.lookUp('9', never), ['9.1.1.1']);
  await t.rejects(resolver.lookUp('none', never), { code: 'ENOTFOUND' });
  t.equal(children.length, 1);
  stop.abort();
  for (const end of await ends) t.match(end, { status: 'rejected', reason: { name: 'AbortError' } });
  await allEnded();
  t.strictSame(await resolver.lookUp('8', never), ['8.1.1.1'], 'another is started');
  t.equal(children.length, 2);
});

t.test('more silent names than a process has threads for hold up no other', async (t) => {
  const { resolver, children } = prepare(t);
  const stop = new AbortController();
  const dead = Array.from({ length: 64 }, (_, i) => resolver.lookUp(`dead${i}`, stop.signal).catch(() => i));
  t.strictSame(await resolver.lookUp('7', never), ['7.1.1.1']);
  t.equal(children.length, 2);
  stop.abort();
  t.equal((await Promise.all(dead)).length, 64);
});

t.test('a process that dies fails what it had, and the next look-up starts another', async (t) => {
  const { resolver, children } = prepare(t);
  t.strictSame(await resolver.lookUp('1', never), ['1.1.1.1']);
  const dead = t.rejects(resolver.lookUp('dead', never), { code: 'EAI_AGAIN' });
  await t.rejects(resolver.lookUp('crash', never), { code: 'EAI_AGAIN' });
  await dead;
  t.strictSame(await resolver.lookUp('2', never), ['2.1.1.1']);
  t.equal(children.length, 2);
});

t.test('a look-up that takes too long fails as one without an answer', async (t) => {
  const { resolver, allEnded } = prepare(t, { longest: 300 });
  await t.rejects(resolver.lookUp('dead', never), { code: 'EAI_AGAIN' });
  await allEnded();
});

t.test('a look-up that is aborted before it begins starts nothing', async (t) => {
  const { resolver, children } = prepare(t);
  await t.rejects(resolver.lookUp('1', AbortSignal.abort()), { name: 'AbortError' });
  t.equal(children.length, 0);
});

const unstartable: [string, (t: Test) => Resolver][] = [
  ['may not be started', () => new Resolver(() => fail('ERR_ACCESS_DENIED'))],
  ['is not there', () => new Resolver(() => fork('/none', { execPath: '/nowhere/node' }))],
  ['ends before it runs', (t) => prepare(t, { script: 'process.exit(1)' }).resolver],
];
for (const [what, make] of unstartable) {
  t.test(`where the process ${what}, names are resolved in this one`, async (t) => {
    const resolver = make(t);
    // Longer than a label may be (RFC 1035, section 2.3.4): it fails without a question to anybody.
    const name = (i: number) => `${i}${'x'.repeat(64)}.invalid`;
    const all = Array.from({ length: 5 }, (_, i) =>
      resolver.lookUp(name(i), never).catch((error) => error.code),
    );
    for (const code of await Promise.all(all)) t.match(code, /^E(NOTFOUND|AI_)/);
  });
}

t.test('a name of the hosts file is known as one, where the file comes first', (t) => {
  const hosts = '127.0.0.1 localhost  Boat.Local # gone\n#10.0.0.1 old\n\n::1\tip6-localhost\r\n';
  for (const name of ['localhost', 'boat.local', 'LOCALHOST', 'ip6-localhost'])
    t.ok(hasHost(hosts, name), name);
  for (const name of ['gone', 'old', 'local', '127.0.0.1', '']) t.notOk(hasHost(hosts, name), name);
  for (const text of [
    '',
    'passwd: files\n',
    'hosts: files dns',
    'hosts:\tmymachines resolve [!UNAVAIL=return] files',
  ])
    t.ok(isFilesFirst(text), text);
  for (const text of ['hosts: dns files', 'hosts: mdns4 files dns', 'hosts: dns'])
    t.notOk(isFilesFirst(text), text);
  t.end();
});

function fail(code: string): never {
  throw Object.assign(new Error(code), { code });
}

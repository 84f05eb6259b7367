import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import type { Name } from '../support/command.js';
import { launcher, startProgram } from '../support/command.js';
import { tcpServer, udpSink } from '../support/net.js';
import { fails, NOBODY } from './outcome.js';

const GROUP = '239.77.0.2:9918,interface=lo';

t.test('a name that does not resolve', async (t) => {
  // A label of more than 63 letters (RFC 1035, 2.3.4): no name server need be asked, who may take long.
  const nowhere = `${'x'.repeat(64)}.invalid:9`;
  const cases: [Name, string][] = [
    ['client', `--path - --server-addr ${nowhere}`],
    ['server', `--path - --listen-addr ${nowhere}`],
    ['forward', `--tee --udp-listen-addr ${nowhere}`],
    ['forward', `--udp-listen-addr 127.0.0.1:0 --udp-downstream-addr ${nowhere}`],
    ['reverse', `--multicast-addr ${GROUP} --udp-output-addr ${nowhere}`],
    ['reverse', `--multicast-addr ${GROUP} --tcp-listen-addr ${nowhere}`],
  ];
  for (const [name, args] of cases) await fails(t, name, args.split(' '), 1, nowhere);
});

t.test('a file that cannot be opened, and a directory', async (t) => {
  const dir = t.testdir({ 'secret.log': 'x' });
  const missing = join(dir, 'missing', 'in.log');
  const to = ['--server-addr', '127.0.0.1:9'];
  const from = ['--listen-addr', '127.0.0.1:0'];
  await fails(t, 'client', ['--path', missing, ...to], 1, missing);
  await fails(t, 'client', ['--path', dir, ...to], 1, dir);
  await fails(t, 'server', ['--path', missing, ...from], 1, missing);
  await fails(t, 'server', ['--path', dir, ...from], 1, dir);
  await fails(t, 'server', ['--path', dir, ...from, '--merge', '--listen-addr', '127.0.0.1:0'], 1, dir);
});

t.test('a port in use', async (t) => {
  const udp = await udpSink(t);
  const tcp = await tcpServer(t, () => undefined);
  const taken = `127.0.0.1:${udp.port}`;
  await fails(t, 'server', ['--path', '-', '--listen-addr', taken], 1, taken);
  await fails(t, 'forward', ['--tee', '--udp-listen-addr', taken], 1, taken);
  await fails(t, 'reverse', ['--multicast-addr', GROUP, '--udp-listen-addr', taken], 1, taken);
  for (const flag of ['--tcp-listen-addr', '--tcp-output-addr']) {
    const address = `127.0.0.1:${tcp.port}`;
    const said = await fails(t, 'reverse', ['--multicast-addr', GROUP, flag, address], 1, address);
    t.match(said, 'port already in use');
  }
  t.same(udp.datagrams, [], 'who has the port was left alone');
});

t.test('an address that is not of this host', async (t) => {
  await fails(t, 'server', ['--path', '-', '--listen-addr', '192.0.2.1:0'], 1, '192.0.2.1:0');
  await fails(t, 'client', ['--path', '-', '--server-addr', '127.0.0.1:9,bind=192.0.2.1'], 1, '192.0.2.1');
});

t.test('an interface that does not exist', async (t) => {
  const group = '239.77.0.2:9918,interface=nosuch0';
  await fails(t, 'client', ['--path', '-', '--server-addr', group], 1, 'nosuch0');
  await fails(t, 'server', ['--path', '-', '--listen-addr', group], 1, 'nosuch0');
  await fails(t, 'forward', ['--tee', '--udp-listen-addr', group], 1, 'nosuch0');
  await fails(t, 'reverse', ['--tee', '--multicast-addr', group], 1, 'nosuch0');
});

t.test('unicast where a group is needed', async (t) => {
  const address = '127.0.0.1:9918';
  await fails(t, 'reverse', ['--tee', '--multicast-addr', address], 1, address);
});

t.test('a bad certificate or key', async (t) => {
  const dir = t.testdir({ 'bad.pem': 'not a certificate\n', 'bad.key': 'not a key\n' });
  const pem = join(dir, 'bad.pem');
  const key = join(dir, 'bad.key');
  const reverse = ['--multicast-addr', GROUP, '--tcp-output-addr', 'tls://127.0.0.1:0'];
  await fails(t, 'reverse', [...reverse, '--tls-cert', pem, '--tls-key', key], 1, pem);
  const missing = join(dir, 'missing.pem');
  await fails(t, 'reverse', [...reverse, '--tls-cert', missing, '--tls-key', key], 1, missing);
  const forward = ['--tee', '--tcp-connect-addr', 'tls://127.0.0.1:9'];
  await fails(t, 'forward', [...forward, '--tls-ca', missing], 1, missing);
  await fails(t, 'forward', [...forward, '--tls-cert', pem, '--tls-key', key], 1, pem);
});

t.test('a chain whose second certificate is damaged', async (t) => {
  const authority = await Authority.make(t);
  const { cert, keyFile } = await authority.sign({ dns: ['a.test'] });
  // It lacks a line.
  const damaged = `${cert}\n${authority.pem.replace(/\n.+\n(?=-----END)/, '\n')}`;
  const pem = join(t.testdir({ 'chain.pem': damaged }), 'chain.pem');
  const pair = ['--tls-cert', pem, '--tls-key', keyFile];
  const reverse = ['--multicast-addr', GROUP, '--tcp-output-addr', 'tls://127.0.0.1:0'];
  const said = [
    await fails(t, 'reverse', [...reverse, ...pair], 1, pem),
    await fails(t, 'forward', ['--tee', '--tcp-connect-addr', 'tls://127.0.0.1:9', ...pair], 1, pem),
  ];
  for (const text of said) t.match(text, /a certificate or key in it is damaged/);
});

const noRoot = (() => {
  if (process.getuid?.() !== 0) return 'acting as another user needs root';
  const args = [`--reuid=${NOBODY}`, 'env', '-u', 'NODE_OPTIONS', process.execPath, launcher('client'), '-V'];
  const run = spawnSync('setpriv', args);
  return run.status === 0 ? false : 'another user cannot run the command from here';
})();

/** Runs a command as a user without privileges. */
async function asNobody(t: Parameters<typeof startProgram>[0], name: Name, args: string[]) {
  const ids = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--inh-caps=-all'];
  const running = startProgram(t, 'setpriv', [...ids, process.execPath, launcher(name), ...args]);
  running.child.stdin!.end();
  await running.exited;
  return running;
}

t.test('a privileged port', { skip: noRoot }, async (t) => {
  const { stderr, status } = await asNobody(t, 'server', [
    '--path',
    '/dev/null',
    '--listen-addr',
    '127.0.0.1:7',
  ]);
  t.equal(status, 1);
  t.match(stderr.trim().split('\n').at(-1), /^mproxy-server: .*127\.0\.0\.1:7: permission denied; .*root/);
});

t.test('a file of another user', { skip: noRoot }, async (t) => {
  const file = join(t.testdir(), 'secret.log');
  writeFileSync(file, 'x');
  chmodSync(file, 0o600);
  const { stderr, status } = await asNobody(t, 'client', ['--path', file, '--tee']);
  t.equal(status, 1);
  t.ok(stderr.includes(`${file}: permission denied`), stderr);
});

t.test('a current directory that was removed', async (t) => {
  const dir = t.testdir({ gone: {} });
  const go = 'cd gone && rmdir ../gone && exec "$@"';
  const server = ['--listen-addr', '127.0.0.1:0', '--path', '/dev/null', '--stats', '1h'];
  const command = ['-c', go, 'sh', process.execPath, launcher('server'), ...server];
  const running = startProgram(t, '/bin/sh', command, { cwd: dir });
  await running.port();
  t.match(running.stderr, /engine: node, as linux does not load: .*cwd/);
  t.equal(await running.stop(), 0);
});

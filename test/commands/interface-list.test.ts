import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { tcpClient, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

const noCc =
  process.platform !== 'linux'
    ? 'the C library is replaced on Linux alone'
    : spawnSync('cc', ['--version']).status !== 0 && 'cc is not installed';

/** Fails as where descriptors ran out; from the moment on at which a file exists, where one is named. */
const SHIM = `
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
int getifaddrs(void **list) {
  static int (*real)(void **);
  extern void *dlsym(void *, const char *);
  const char *file = getenv("NO_INTERFACES");
  if (!real) real = (int (*)(void **))dlsym((void *)-1L, "getifaddrs");
  if (file && access(file, F_OK) != 0) return real(list);
  errno = EMFILE;
  return -1;
}
`;

/** The environment of a program for which getifaddrs(3) fails. */
function withoutList(t: Test, file?: string): NodeJS.ProcessEnv {
  const folder = t.testdir({ 'shim.c': SHIM });
  const library = join(folder, 'shim.so');
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, join(folder, 'shim.c'), '-ldl']);
  return { ...process.env, LD_PRELOAD: library, ...(file && { NO_INTERFACES: join(folder, file) }) };
}

t.test(
  'all programs start and run where the list of interfaces cannot be read',
  { skip: noCc },
  async (t) => {
    const env = withoutList(t);
    const probe = spawnSync(process.execPath, ['-e', 'os.networkInterfaces()'], { env, encoding: 'utf8' });
    t.match(probe.stderr, /uv_interface_addresses/, 'it cannot be read');
    const server = start(t, 'server', ['--path', '-', '--listen-addr', '127.0.0.1:0'], { env });
    const to = ['--udp-downstream-addr', `127.0.0.1:${await server.port()}`];
    const forward = start(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', ...to], { env });
    const at = ['--server-addr', `127.0.0.1:${await forward.port()}`];
    const client = start(t, 'client', ['--path', '-', ...at], { env });
    client.child.stdin!.end('hello\n');
    t.equal(await client.exited, 0, client.stderr);
    await until('it arrives', () => String(server.stdout) === 'hello\n');
    const group = await loopbackGroup(); // on lo, which sysfs knows
    // The node engine knows an interface by its address alone, which only the list has.
    if (process.env.ENGINE !== 'node') {
      const outputs = ['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0'];
      const reverse = start(t, 'reverse', ['--udp-listen-addr', '127.0.0.1:0', ...outputs], { env });
      for (const kind of ['tcp', 'udp']) await reverse.says(`listening: ${kind} `);
      const ports = [...reverse.stderr.matchAll(/listening: (\S+) 127\.0\.0\.1:(\d+)/g)];
      const port = (kind: string) => Number(ports.find((match) => match[1] === kind)![2]);
      const reader = await tcpClient(t, port('tcp'));
      await reverse.says(/client: /);
      await udpSend(port('udp'), ['hello\n']);
      t.equal(String(await reader.has(6)), 'hello\n');
      t.equal(await reverse.stop(), 0, reverse.stderr);
    }
    t.equal(await forward.stop(), 0, forward.stderr);
    t.equal(await server.stop(), 0, server.stderr);
  },
);

t.test('a group without an interface says that the list cannot be read', { skip: noCc }, async (t) => {
  const env = withoutList(t);
  const args = ['--path', '-', '--listen-addr', '239.7.7.7:9,interface=nowhere'];
  const server = start(t, 'server', args, { env });
  t.equal(await server.exited, 1);
  t.match(
    server.stderr,
    /no interface nowhere that is up \(the list of interfaces cannot be read: too many open files \(EMFILE\)\)/,
  );
});

t.test('a running program goes on when the list of interfaces fails', { skip: noCc }, async (t) => {
  const env = withoutList(t, 'fails');
  const file = env.NO_INTERFACES!;
  const group = await loopbackGroup();
  const sink = await udpSink(t);
  const reverse = start(
    t,
    'reverse',
    [
      ...['--udp-listen-addr', '127.0.0.1:0', '--multicast-addr', group.address],
      ...['--udp-output-addr', `127.0.0.1:${sink.port}`],
    ],
    { env },
  );
  await reverse.says(/listening: udp/);
  const port = Number(/listening: udp 127\.0\.0\.1:(\d+)/.exec(reverse.stderr)![1]);
  const passes = async (text: string) => {
    await udpSend(port, [text]);
    await until(`${text} is passed on`, () => String(sink.bytes).endsWith(text));
  };
  await passes('before\n');
  t.notOk(existsSync(file));
  writeFileSync(file, '');
  await reverse.says("the list of this host's interfaces cannot be read");
  await passes('meanwhile\n');
  execFileSync('rm', [file]);
  await reverse.says('can be read again');
  await passes('after\n');
  t.equal(reverse.stderr.split('cannot be read').length, 2, 'said once, for all sockets');
  t.equal(reverse.stderr.split('can be read again').length, 2);
  t.notMatch(reverse.stderr, /is gone/);
  t.equal(await reverse.stop(), 0, reverse.stderr);
});

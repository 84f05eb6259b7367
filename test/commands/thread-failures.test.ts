import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Authority, pairFlags } from '../support/certificates.js';
import { type Name, start } from '../support/command.js';
import { groupSend, loopbackGroup } from '../support/group.js';
import { openSocket, TcpClient, udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

const skip = (process.platform !== 'linux' || process.env.ENGINE === 'node') && 'no threads';
const MODULE = new URL('../support/failing-threads.js', import.meta.url);

/** Starts a command whose receiving threads fail when a datagram says so. */
function startFailing(t: Test, name: Name, args: string[]) {
  return start(t, name, args, { node: ['--import', String(MODULE)] });
}

t.test(
  'a receiving thread that fails is replaced; TCP and TLS clients can connect again',
  { skip },
  async (t) => {
    const group = await loopbackGroup();
    const pair = await (await Authority.make(t)).sign({ dns: ['feed.test'] });
    const reverse = startFailing(t, 'reverse', [
      ...['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0'],
      ...['--tcp-output-addr', 'tls://127.0.0.1:0', ...pairFlags(pair), '--stats', '0.1'],
    ]);
    const join = async (nth: number, ever: number) => {
      const socket = await openSocket(t, await reverse.port(nth), nth === 1);
      socket.on('error', () => undefined);
      const client = new TcpClient(socket);
      await until('it joined', () => reverse.stderr.split(' connected to ').length > ever);
      return client;
    };
    const lost = [await join(0, 1), await join(1, 2)];
    await groupSend(group, ['fail by a mistake\n']);
    await reverse.says(
      /thread: a receiving thread failed, and another one replaces it: 1 socket, 2 clients disconnected; .*: TypeError: a mistake of ours at /,
    );
    await until('they are disconnected', () => lost.every(({ closed }) => closed));
    t.match(reverse.stderr, /client: 127\.0\.0\.1:\d+: its receiving thread failed\n/);
    const fresh = [await join(0, 3), await join(1, 4)];
    await groupSend(group, ['one\n']);
    await until('they have it', () => fresh.every(({ chunks }) => String(Buffer.concat(chunks)) === 'one\n'));
    t.equal(await reverse.stop(), 0);
    t.match(reverse.stderr, /0 clients now 2 ever/);
  },
);

t.test(
  'a thread that fails with the lock of its file does not stop others from writing',
  { skip },
  async (t) => {
    const file = join(t.testdir(), 'out');
    const args = ['--path', file, '--merge', '--listen-addr', '127.0.0.1:0', '--listen-addr', '127.0.0.1:0'];
    const server = startFailing(t, 'server', args);
    const [port, other] = [await server.port(0), await server.port(1)];
    await udpSend(port, ['fail with the lock of the file\n']);
    await server.says('a receiving thread failed');
    await udpSend(port, ['one\n']);
    await udpSend(other, ['two\n']);
    await until('both are written', () =>
      ['one\n', 'two\n'].every((text) => readFileSync(file, 'latin1').includes(text)),
    );
    t.equal(await server.stop(), 0);
  },
);

t.test('a heap that is exhausted again and again is an error of the program', { skip }, async (t) => {
  const server = startFailing(t, 'server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0']);
  const port = await server.port();
  const failures = () => server.stderr.split('a receiving thread failed').length - 1;
  for (let i = 0; i < 4; i++) {
    await udpSend(port, ['fail by the heap\n']);
    await until('it is replaced', () => failures() > i);
  }
  await udpSend(port, ['fail by the heap\n']);
  t.equal(await server.exited, 1);
  t.match(server.stderr, /^mproxy-server: receiving: 127\.0\.0\.1:0: .*heap out of memory\n/m);
});

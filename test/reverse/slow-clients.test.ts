import t from 'tap';
import { start } from '../support/command.js';
import { type Group, groupSend, loopbackGroup } from '../support/group.js';
import { inParts, type TcpClient, tcpClient } from '../support/net.js';
import { until } from '../support/wait.js';
import { slowClients } from './slow.js';

/** Sends megabytes to a group, no faster than a client reads them. */
function pour(group: Group, reader: TcpClient, megabytes: number): Promise<void> {
  return inParts(
    Array.from({ length: megabytes * 20 }, () => Buffer.alloc(50_000, 'x')),
    (part) => groupSend(group, part),
    (_, bytes) => reader.length >= bytes,
  );
}

t.test('five clients that stop reading cost the others nothing, and see whole datagrams alone', (t) =>
  slowClients(t, 20_000, '1Gbps'),
);

t.test('--client-timeout disconnects who takes nothing, and nobody else', async (t) => {
  const group = await loopbackGroup();
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0'],
    ...['--client-timeout', '3s', '--stats', '0.1'],
  ]);
  const port = await reverse.port();
  const stuck = await tcpClient(t, port);
  const reader = await tcpClient(t, port);
  await reverse.says('2 clients now 2 ever');
  stuck.socket.pause();
  await pour(group, reader, 40);
  await reverse.says('1 timed-out client');
  await reverse.says('1 client now 2 ever');
  t.match(reverse.stderr, /took nothing for 3 s: disconnected/);
  await groupSend(group, ['still served']);
  await reader.has(40_000_000 + 'still served'.length);
  stuck.socket.resume();
  await until('the stuck one sees its end', () => stuck.closed || stuck.socket.readableEnded);
});

t.test('--client-buffer is how far behind a client may be and miss nothing', async (t) => {
  const group = await loopbackGroup();
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0'],
    ...['--client-buffer', '64MiB', '--stats', '0.1'],
  ]);
  const port = await reverse.port();
  const late = await tcpClient(t, port);
  const reader = await tcpClient(t, port);
  await reverse.says('2 clients now');
  late.socket.pause();
  await pour(group, reader, 50);
  late.socket.resume();
  await late.has(50_000_000);
  t.equal(await reverse.stop(), 0);
  t.notMatch(reverse.stderr, 'lost:');
});

t.test('a port that is in use is an error', async (t) => {
  const group = await loopbackGroup();
  const first = start(t, 'reverse', ['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0']);
  const port = await first.port();
  const second = start(t, 'reverse', [
    '--multicast-addr',
    group.address,
    '--tcp-output-addr',
    `127.0.0.1:${port}`,
  ]);
  t.equal(await second.exited, 1);
  t.match(second.stderr, `127.0.0.1:${port}: port already in use`);
  t.ok(first.running);
});

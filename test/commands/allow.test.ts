import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';
import { fails } from './outcome.js';

/** Sends from an address of this host. */
async function sendFrom(address: string, port: number, datagrams: string[]): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  for (const datagram of datagrams)
    await new Promise<void>((resolve, reject) =>
      socket.send(datagram, port, '127.0.0.1', (error) => (error ? reject(error) : resolve())),
    );
  socket.close();
}

const allow = ['--allow', '203.0.113.0/24', '--allow', '127.0.0.1/32'];

/** Sends what is refused, then what is not, and checks the report. */
async function refuses(t: Test, running: Running, arrived: () => boolean): Promise<void> {
  const port = await running.port();
  await sendFrom('127.0.0.2', port, ['no\n', 'no\n']);
  await sendFrom('127.0.0.1', port, ['yes\n']);
  await until('what is allowed arrives', arrived);
  await running.says('2 refused datagrams');
  t.equal(await running.stop(), 0);
  t.match(
    running.stderr,
    `lost in all: 127.0.0.1:0: dropped 2 datagrams: --allow does not name their sender\n`,
    'the loss is reported',
  );
}

t.test('mproxy-server writes what allowed senders sent alone, to the file and the tee', async (t) => {
  const file = join(t.testdir({ out: '' }), 'out');
  const args = ['--path', file, '--listen-addr', '127.0.0.1:0', '--tee', '--stats', '0.1', ...allow];
  const server = start(t, 'server', args);
  await refuses(t, server, () => readFileSync(file, 'utf8').length >= 4);
  t.equal(readFileSync(file, 'utf8'), 'yes\n');
  t.equal(String(server.stdout), 'yes\n');
});

t.test('mproxy-forward forwards what allowed senders sent alone', async (t) => {
  const sink = await udpSink(t);
  const to = ['--udp-downstream-addr', `127.0.0.1:${sink.port}`];
  const args = ['--udp-listen-addr', '127.0.0.1:0', ...to, '--stats', '0.1', ...allow];
  await refuses(t, start(t, 'forward', args), () => sink.datagrams.length > 0);
  t.strictSame(sink.datagrams.map(String), ['yes\n']);
});

t.test('mproxy-reverse takes into its group what allowed senders sent alone', async (t) => {
  const args = ['--udp-listen-addr', '127.0.0.1:0', '--multicast-addr', '239.77.4.2:9918,interface=lo'];
  const reverse = start(t, 'reverse', [...args, '--tee', '--stats', '0.1', ...allow]);
  await refuses(t, reverse, () => reverse.stdout.length >= 4);
  t.equal(String(reverse.stdout), 'yes\n');
});

t.test(
  'networks that are none, and --allow without a listener, are errors of the command line',
  async (t) => {
    const listen = ['--listen-addr', '127.0.0.1:0', '--path', '-'];
    await fails(
      t,
      'server',
      [...listen, '--allow', '127.0.0.1/33'],
      2,
      '--allow: 127.0.0.1/33: not a network',
    );
    await fails(
      t,
      'forward',
      ['--tcp-connect-addr', '127.0.0.1:9', '--tee', '--allow', '::1'],
      2,
      '--allow: ::1:',
    );
    const listenless = ['--multicast-addr', '239.77.4.3:9918,interface=lo', '--tee'];
    await fails(
      t,
      'reverse',
      [...listenless, '--allow', '::1'],
      2,
      '--allow: ::1: there is no listener; use --tcp-output-addr',
    );
  },
);

t.test('packets of frame=mold are filtered too', async (t) => {
  const file = join(t.testdir({ out: '' }), 'out');
  const listen = ['--path', file, '--listen-addr', '127.0.0.1:0,frame=mold'];
  const server = start(t, 'server', [...listen, '--stats', '0.1', ...allow]);
  const port = await server.port();
  for (const [bind, text] of [
    ['127.0.0.2', 'no\n'],
    ['127.0.0.1', 'yes\n'],
  ]) {
    const to = `127.0.0.1:${port},frame=mold,bind=${bind}`;
    const client = start(t, 'client', ['--path', '-', '--server-addr', to, '--linger', '0']);
    client.child.stdin!.end(text);
    t.equal(await client.exited, 0);
  }
  await until('what is allowed arrives', () => readFileSync(file, 'utf8').length > 0);
  await server.says(/stats: .*[1-9] refused datagrams?/);
  t.equal(await server.stop(), 0);
  t.equal(readFileSync(file, 'utf8'), 'yes\n');
  t.match(server.stderr, /dropped [1-9]\d* datagrams?: --allow does not name their sender/);
});

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:tls';
import { reason } from 'mproxy-base';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { Host, noNamespaces } from '../support/namespace.js';
import { tcpServer, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';
import { fails, run } from './outcome.js';

t.test('no host and * as a host suggest what listens on all addresses', async (t) => {
  for (const address of [':9920', '*:9920']) {
    const said = await fails(t, 'server', ['--path', '-', '--listen-addr', address], 2, address);
    t.match(said, /for all addresses of this host write 0\.0\.0\.0 \(IPv4\) or \[::\]\n$/);
    const sent = await fails(t, 'client', ['--path', '-', '--server-addr', address], 2, address);
    t.match(sent, /give the host to send to\n$/);
  }
});

t.test('where it sends is said once, however many upstreams there are', async (t) => {
  const sink = await udpSink(t);
  let connections = 0;
  const upstream = await tcpServer(t, () => connections++);
  const from = Array.from({ length: 20 }, () => ['--tcp-connect-addr', `127.0.0.1:${upstream.port}`]).flat();
  const forward = start(t, 'forward', [...from, '--udp-downstream-addr', `127.0.0.1:${sink.port}`]);
  await until('all are connected', () => connections === 20);
  t.equal(await forward.stop(), 0);
  t.equal(forward.stderr.match(/sending: /g)?.length, 1);
});

t.test('a certificate for another name is said in words, with what helps', async (t) => {
  const authority = await Authority.make(t);
  const { cert, key } = await authority.sign({ dns: ['other.test'] });
  const server = createServer({ cert, key }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const from = ['--tcp-connect-addr', `tls://localhost:${port}`, '--tls-ca', authority.file];
  const forward = start(t, 'forward', [...from, '--tee', '--once']);
  t.equal(await forward.exited, 1);
  const why = 'its certificate is for other names; give its own with --tls-servername NAME';
  t.equal(forward.stderr, `mproxy-forward: upstream: tls://localhost:${port}: ${why}\n`);
});

t.test('a group whose port another program does not share', async (t) => {
  const group = await loopbackGroup();
  const holder = createSocket('udp4');
  t.teardown(() => holder.close());
  await new Promise<void>((resolve) => holder.bind(group.port, group.ip, resolve));
  const args = ['--path', '-', '--listen-addr', group.address];
  const said = await fails(t, 'server', args, 1, group.address);
  t.match(said, `does not share it (SO_REUSEADDR): ss -ulnp sport = :${group.port}`);
});

const onLinux = process.platform !== 'linux' && 'the limit is one of Linux';

t.test('too many sources of one group name the limit', { skip: onLinux }, async (t) => {
  const group = await loopbackGroup();
  const sources = Array.from({ length: 200 }, (_, i) => `,source=127.0.1.${i + 1}`).join('');
  const args = ['--path', '-', '--listen-addr', `${group.address}${sources}`];
  const said = await fails(t, 'server', args, 1, group.address);
  t.match(
    said,
    /no buffer space; a socket takes so many sources of one group: sysctl net\.ipv4\.igmp_max_msf\n$/,
  );
});

t.test('a limited broadcast without a route suggests bind', { skip: noNamespaces }, async (t) => {
  const namespace = new Host(t).name;
  const to = ['--server-addr', '255.255.255.255:9920'];
  const client = start(t, 'client', ['--path', '-', ...to], { namespace });
  client.child.stdin!.end('lost\n');
  t.equal(await client.exited, 1);
  t.match(client.stderr, /lost in all: 255\.255\.255\.255:9920: network unreachable, 1 time; .* bind=IP\n/);
});

t.test('an error of the system without words of ours has its description and its name', async (t) => {
  const error = (code: string) => Object.assign(new Error('connect ENOMEM'), { code });
  t.equal(reason(error('ENOMEM')), 'not enough memory (ENOMEM)');
  t.equal(reason(error('EPROTO')), 'protocol error (EPROTO)');
  t.equal(reason(new Error('of its own')), 'of its own');
  const { stderr } = await run(t, 'client', ['--path', '/proc/self/mem', '--tee']);
  t.match(stderr, /^mproxy-client: reading: \/proc\/self\/mem: input\/output error\n$/);
});

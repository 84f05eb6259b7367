import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { got, missing, reader, send } from '../lan/tools.js';
import { launcher, start, startProgram } from '../support/command.js';
import { Host, lan, noNamespaces } from '../support/namespace.js';
import { until } from '../support/wait.js';

/** The examples of the original's README and help texts, literally; each in a namespace for its fixed ports. */
const skip = noNamespaces || missing('socat');

t.test('the quick start: lines typed at the client stand in the file and on stdout', { skip }, async (t) => {
  const namespace = new Host(t).name;
  const cwd = t.testdir();
  const args = ['--listen-addr', 'localhost:9920', '--path', 'streamoutput.log', '--tee'];
  const server = start(t, 'server', args, { namespace, cwd });
  await server.says('listening:');
  const client = start(t, 'client', ['--path', '-', '--server-addr', 'localhost:9920'], { namespace, cwd });
  let typed = '';
  for (const line of ['hello\n', 'world\n', '\n', 'more\n']) {
    client.child.stdin!.write(line);
    typed += line;
    await got(server, typed);
  }
  client.child.stdin!.end('no newline');
  t.equal(await client.exited, 0, client.stderr);
  await got(server, `${typed}no newline`);
  t.equal(await server.stop(), 0);
  t.equal(readFileSync(join(cwd, 'streamoutput.log'), 'latin1'), `${typed}no newline`);
});

t.test('a device to IPv4 and IPv6, and a server of two listeners', { skip }, async (t) => {
  const namespace = new Host(t).name;
  const cwd = t.testdir();
  const listens = ['--listen-addr', '127.0.0.1:9920', '--listen-addr', '[::1]:9921'];
  const server = start(t, 'server', ['--path', 'logfile.log', ...listens], { namespace, cwd });
  await server.says(/listening:[\s\S]*listening:/);
  const files = ['logfile.log.127.0.0.1:9920', 'logfile.log.[::1]:9921'].map((name) => join(cwd, name));
  const to = ['--server-addr', '127.0.0.1:9920', '--server-addr', '[::1]:9921'];
  const client = start(t, 'client', ['--path', '/dev/random', ...to], { namespace, cwd });
  await until('both files grow', () => files.every((file) => statSync(file).size > 100_000));
  t.equal(await client.stop('SIGINT'), 0, client.stderr);
  t.equal(await server.stop(), 0);
  const [four, six] = files.map((file) => readFileSync(file).subarray(0, 50_000));
  t.ok(four!.equals(six!), 'both got the same random bytes');
});

t.test('stdin to an IPv4 and an IPv6 group, its copy appended to a file', { skip }, async (t) => {
  const { hosts } = lan(t, 2);
  const cwd = t.testdir({ 'logfile.log': 'before\n' });
  const inB = { namespace: hosts[1]!.name, cwd };
  const four = start(t, 'server', ['--path', '-', '--listen-addr', '224.0.0.1:9922'], inB);
  const six = start(t, 'server', ['--path', '-', '--listen-addr', '[ff02::1]:9923'], inB);
  await four.says('listening:');
  await six.says('listening:');
  const example =
    "--path - --server-addr '224.0.0.1:9922' --server-addr '[ff02::1]:9923' --tee >> logfile.log";
  const line = `exec "$0" "$1" ${example}`;
  const inA = { namespace: hosts[0]!.name, cwd };
  const client = startProgram(t, 'sh', ['-c', line, process.execPath, launcher('client')], inA);
  client.child.stdin!.end('one\ntwo');
  t.equal(await client.exited, 0, client.stderr);
  await got(four, 'one\ntwo');
  await got(six, 'one\ntwo');
  t.equal(readFileSync(join(cwd, 'logfile.log'), 'latin1'), 'before\none\ntwo');
});

t.test('forward from UDP and TCP to two downstreams and stdout', { skip }, async (t) => {
  const host = new Host(t);
  const namespace = host.name;
  const servers = ['[::1]:9921', 'localhost:9922'].map((address) =>
    start(t, 'server', ['--path', '-', '--listen-addr', address], { namespace }),
  );
  for (const server of servers) await server.says('listening:');
  const downstreams = ['--udp-downstream-addr', '[::1]:9921', '--udp-downstream-addr', 'localhost:9922'];
  const args = [
    '--udp-listen-addr',
    '0.0.0.0:9920',
    ...downstreams,
    '--tcp-connect-addr',
    'localhost:9925',
    '--tee',
  ];
  const upstream = startProgram(t, 'socat', ['-dd', '-', 'TCP-LISTEN:9925,reuseaddr'], { namespace });
  await upstream.says('listening on');
  const forward = start(t, 'forward', args, { namespace });
  await forward.says('listening:');
  await forward.says('connected to');
  upstream.child.stdin!.write('by tcp\n');
  for (const running of [...servers, forward]) await got(running, 'by tcp\n');
  await send(t, host, 'by udp\n', '127.0.0.1:9920');
  for (const running of [...servers, forward]) await got(running, 'by tcp\nby udp\n');
  t.equal(await forward.stop(), 0, forward.stderr);
});

t.test('reverse from UDP by a group to a TCP client', { skip }, async (t) => {
  const { hosts } = lan(t, 2);
  const [a, b] = hosts;
  const listens = ['--udp-listen-addr', '0.0.0.0:9920', '--tcp-output-addr', '[::1]:9921'];
  const reverse = start(t, 'reverse', [...listens, '--multicast-addr', '224.0.0.1:9922'], {
    namespace: a!.name,
  });
  await reverse.says(/listening: udp 0\.0\.0\.0:9920/);
  const client = await reader(t, a!, '[::1]:9921');
  await reverse.says(/client.*\[?::1/);
  await send(t, b!, 'through\n', '10.77.0.1:9920');
  await got(client, 'through\n');
  await send(t, b!, 'into the group\n', '224.0.0.1:9922,interface=eth0');
  await got(client, 'through\ninto the group\n');
  t.equal(await reverse.stop(), 0, reverse.stderr);
});

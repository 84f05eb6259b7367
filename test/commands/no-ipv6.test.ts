import t from 'tap';
import { command, type Name, startProgram } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { noCompiler, withoutIpv6 } from '../support/no-ipv6.js';

const why = 'address family not supported';
const STARTS: [Name, string[], string][] = [
  ['client', ['--path', '-', '--server-addr', '[::1]:9'], 'sending: [::1]:9'],
  ['client', ['--path', '-', '--server-addr', '[ff02::1%lo]:9'], 'sending: [ff02::1%lo]:9'],
  ['server', ['--path', '/dev/null', '--listen-addr', '[::1]:0'], 'listening: [::1]:0'],
  ['forward', ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', '[::1]:9'], 'sending: [::1]:9'],
  [
    'reverse',
    ['--multicast-addr', '239.77.0.6:9918,interface=lo', '--tcp-output-addr', '[::1]:0'],
    'listening: [::1]:0',
  ],
];

for (const [name, args, what] of STARTS) {
  t.test(
    `where sockets of IPv6 fail, mproxy-${name} ${args.join(' ')} says so`,
    { skip: noCompiler },
    async (t) => {
      const running = startProgram(t, withoutIpv6(t), command(name, args));
      t.equal(await running.exited, 1, running.stderr);
      t.equal(running.stderr.trimEnd().split('\n').at(-1), `mproxy-${name}: ${what}: ${why}`);
    },
  );
}

t.test('where sockets of IPv6 fail, IPv4 is as ever', { skip: noCompiler }, async (t) => {
  const sink = await udpSink(t);
  const args = ['--path', '-', '--server-addr', `127.0.0.1:${sink.port}`];
  const client = startProgram(t, withoutIpv6(t), command('client', args));
  client.child.stdin?.end('line\n');
  t.equal(await client.exited, 0, client.stderr);
  t.equal(String(await sink.has(5)), 'line\n');
});

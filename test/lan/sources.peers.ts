import t from 'tap';
import { start } from '../support/command.js';
import { lan, noNamespaces } from '../support/namespace.js';
import { until } from '../support/wait.js';
import { got, listen, send } from './tools.js';

for (const [group, wanted, other] of [
  ['232.7.7.7:9922,interface=eth0', '10.77.0.1', '10.77.0.2'],
  ['[ff35::8000:77]:9922,interface=eth0', 'fd77::1', 'fd77::2'],
] as const) {
  const from = (ip: string) => (ip.includes(':') ? `[${ip}]` : ip);

  t.test(`source= takes ${group} from that sender alone`, { skip: noNamespaces }, async (t) => {
    const { hosts } = lan(t, 3);
    const [a, b, c] = hosts;
    const specific = await listen(t, c!, `${group},source=${wanted}`);
    const any = await listen(t, c!, group);
    await send(t, b!, 'unwanted\n', `${group},bind=${from(other)}`);
    await send(t, a!, 'wanted\n', `${group},bind=${from(wanted)}`);
    await got(any, 'unwanted\nwanted\n');
    await got(specific, 'wanted\n');
    t.equal(specific.stdout.toString(), 'wanted\n');
  });

  t.test(`source= of ${group} may repeat`, { skip: noNamespaces }, async (t) => {
    const { hosts } = lan(t, 4);
    const [a, b, c, d] = hosts;
    const third = other.replace(/2$/, '4');
    const args = ['--multicast-addr', `${group},source=${wanted},source=${other}`, '--tee'];
    const reverse = start(t, 'reverse', args, { namespace: c!.name });
    await reverse.says('listening:');
    await send(t, d!, 'unwanted\n', `${group},bind=${from(third)}`);
    await send(t, a!, 'first\n', `${group},bind=${from(wanted)}`);
    await send(t, b!, 'second\n', `${group},bind=${from(other)}`);
    await got(reverse, 'second\n');
    t.equal(reverse.stdout.toString(), 'first\nsecond\n');
  });
}

t.test(
  'a source that cannot send to the group is an error that names it',
  { skip: noNamespaces },
  async (t) => {
    const { hosts } = lan(t, 1);
    for (const source of ['fd77::1', 'nonsense', '239.1.1.1']) {
      const args = ['--path', '-', '--listen-addr', `232.7.7.7:9922,interface=eth0,source=${source}`];
      const server = start(t, 'server', args, { namespace: hosts[0]!.name });
      await until('it ended', () => !server.running);
      t.equal(await server.exited, 2, server.stderr);
      t.match(server.stderr, new RegExp(`^mproxy-server: source: .*${source} is not the IPv4 address.*\n$`));
    }
  },
);

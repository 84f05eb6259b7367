import t from 'tap';
import { start } from '../support/command.js';
import { lan } from '../support/namespace.js';
import { until } from '../support/wait.js';
import { listen, noIptables, reader } from './tools.js';

const LINES = 1000;
const RANDOMLY = ['-m', 'statistic', '--mode', 'random', '--probability', '0.05', '-j', 'DROP'];

for (const [group, iptables] of [
  ['239.7.7.7:9922,interface=eth0', 'iptables'],
  ['[ff02::77]:9922,interface=eth0', 'ip6tables'],
] as const) {
  t.test(
    `5 % of ${group} lost: whole datagrams, and the sender tells what it could not send`,
    { skip: noIptables },
    async (t) => {
      const { hosts } = lan(t, 3);
      const [a, b, c] = hosts;
      const udp = ['-p', 'udp', '--dport', '9922'];
      a!.run(iptables, '-w', '-A', 'OUTPUT', ...udp, ...RANDOMLY);
      for (const host of [b!, c!]) host.run(iptables, '-w', '-A', 'INPUT', ...udp, ...RANDOMLY);
      const server = await listen(t, c!, group);
      const outputs = ['--multicast-addr', group, '--tcp-output-addr', '10.77.0.2:9930'];
      const reverse = start(t, 'reverse', outputs, { namespace: b!.name });
      await reverse.says('listening: group');
      const client = await reader(t, c!, '10.77.0.2:9930');
      await reverse.says(/client.*10\.77\.0\.3/);
      const listens = ['--udp-listen-addr', '127.0.0.1:9920'];
      const forward = start(t, 'forward', [...listens, '--udp-downstream-addr', group, '--stats', '0.2'], {
        namespace: a!.name,
      });
      await forward.says('listening:');
      const paced = ['--path', '-', '--frame', 'line', '--rate', '500pps', '--server-addr', '127.0.0.1:9920'];
      const feeder = start(t, 'client', paced, { namespace: a!.name });
      feeder.child.stdin!.end(Array.from({ length: LINES }, (_, i) => line(i)).join(''));
      t.equal(await feeder.exited, 0, feeder.stderr);
      await forward.says(`${LINES.toLocaleString('en')} datagrams`);
      t.equal(await forward.stop(), 0, 'a relay goes on, and ends well');

      const told = [...forward.stderr.matchAll(/lost in all: .*not permitted, ([\d,]+) times?\n/g)];
      const unsent = Number(told.at(-1)?.[1]?.replace(',', '') ?? 0);
      t.ok(unsent > 0, `the sender tells what it could not send: ${forward.stderr.slice(-300)}`);
      for (const [host, receiver] of [
        [b!, client],
        [c!, server],
      ] as const) {
        const dropped = droppedBy(host.run(iptables, '-w', '-nvxL', 'INPUT'));
        const lines = () => receiver.stdout.toString('latin1').split('\n').slice(0, -1);
        await until('all that was not dropped is out', () => lines().length >= LINES - unsent - dropped);
        t.equal(lines().length, LINES - unsent - dropped);
        const numbers = lines().map((text) => Number(text.split(' ')[0]));
        t.strictSame(
          lines().map((text) => `${text}\n`),
          numbers.map(line),
          'whole lines only',
        );
        t.strictSame(
          numbers,
          [...new Set(numbers)].sort((x, y) => x - y),
          'each once, in order',
        );
      }
      for (const running of [reverse, server]) t.equal(await running.stop(), 0, running.stderr);
    },
  );
}

function line(number: number): string {
  return `${number} ${'x'.repeat(number % 200)} ${number}\n`;
}

/** The packets that a chain's rule dropped, by its counter. */
function droppedBy(listing: string): number {
  return Number(/^ *(\d+) +\d+ DROP/m.exec(listing)![1]);
}

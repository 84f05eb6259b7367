import t from 'tap';
import { start } from '../support/command.js';
import { lan, noNamespaces } from '../support/namespace.js';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';

/** Statistics are printed so often while the event loop has time, and at the latest after so long. */
const PERIOD_MS = 100;
const LATEST_MS = 500;
const LINES = 8000;

t.test(
  'a session relayed to plain UDP by a slow path leaves the event loop its time, and counts what it drops',
  { skip: noNamespaces },
  async (t) => {
    const near = lan(t, 2).hosts[0]!;
    const { name: namespace } = near;
    // The queue holds more than a socket's buffer: that is what fills.
    near.run(
      'tc',
      'qdisc',
      'add',
      'dev',
      'eth0',
      'root',
      'tbf',
      ...'rate 2mbit burst 32k limit 64m'.split(' '),
    );
    await inOneOfSome(t, async () => {
      const from = ['--udp-listen-addr', '127.0.0.1:9800,frame=mold'];
      const to = ['--udp-downstream-addr', '10.77.0.2:9801', '--stats', String(PERIOD_MS / 1000)];
      const forward = start(t, 'forward', [...from, ...to], { namespace });
      await forward.port();
      let [printed, gap] = [performance.now(), 0];
      forward.child.stderr!.on('data', () => {
        const now = performance.now();
        gap = Math.max(gap, now - printed);
        printed = now;
      });
      const at = ['--server-addr', '127.0.0.1:9800', '--frame', 'mold', '--rate', '100Mbps'];
      const client = start(t, 'client', ['--path', '-', ...at], { namespace });
      client.child.stdin!.end(`${'x'.repeat(999)}\n`.repeat(LINES));
      t.equal(await client.exited, 0, client.stderr);
      const last = () => /[\s\S]*-> 10\.77\.0\.2:9801: (.*)\n/.exec(forward.stderr)?.[1] ?? '';
      const count = (what: string) =>
        Number(new RegExp(`([\\d,]+) ${what}s?\\b`).exec(last())?.[1]?.replace(/,/g, '') ?? 0);
      const seen = () => count('datagram') + count('dropped datagram');
      // What is left in the queue, 1 MiB, is neither yet.
      await until('the socket was full', () => count('dropped datagram') > 0);
      const worst = gap;
      t.equal(await forward.stop(), 0, forward.stderr);
      t.equal(seen(), LINES, 'every message was sent, or dropped and counted');
      return untrue({ [`${worst.toFixed(0)} ms without a turn`]: worst < LATEST_MS });
    });
  },
);

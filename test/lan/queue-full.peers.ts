import t from 'tap';
import { lan, noNamespaces } from '../support/namespace.js';
import { until } from '../support/wait.js';
import { listen, send } from './tools.js';

const onLinuxEngine = process.env.ENGINE === 'node' && 'only with IP_RECVERR the kernel reports a full queue';

t.test(
  "a client loses nothing where its interface's queue is full: it waits (ENOBUFS)",
  { skip: noNamespaces || onLinuxEngine },
  async (t) => {
    const [near, far] = lan(t, 2).hosts;
    const qdisc = (...args: string[]) => near!.run('tc', 'qdisc', 'add', 'dev', 'eth0', ...args);
    // The burst holds a segmented send whole (tbf_enqueue, linux/net/sched/sch_tbf.c).
    qdisc('root', 'handle', '1:', 'tbf', 'rate', '50mbit', 'burst', '128k', 'limit', '1m');
    qdisc('parent', '1:', 'handle', '10:', 'pfifo', 'limit', '10');
    const text = Array.from({ length: 4000 }, (_, i) => `${String(i).padStart(999, 'x')}\n`).join('');
    for (const place of ['10.77.0.2:9920', '[fd77::2]:9920', '239.7.7.7:9920,interface=eth0']) {
      const server = await listen(t, far!, place);
      await send(t, near!, text, place);
      await until(`all is there of ${text.length} bytes`, () => server.stdout.length === text.length);
      // A queue that is emptied by two processors gives a veth its packets by their two backlogs (netif_rx,
      // linux/net/core/dev.c), which keep no order between them.
      const lines = (got: string) => got.split('\n').sort().join('\n');
      t.ok(lines(server.stdout.toString('latin1')) === lines(text), `${place}: every line, once`);
      await server.stop();
    }
  },
);

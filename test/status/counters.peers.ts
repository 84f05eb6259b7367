import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { NameServer, noNameServer } from '../support/dns.js';
import { type Host, lan, noNamespaces, plug } from '../support/namespace.js';
import { freeTcpPort, freeUdpPort, tcpServer, udpSend } from '../support/net.js';
import { until } from '../support/wait.js';
import { ask } from './http.js';

const SCRAPE_MS = 30;
const LONGEST_MS = 30_000;
/** A destination's name is resolved again every minute. */
const RESOLVED_MS = 75_000;

/** Scrapes a program all the while, and knows every counter that ever had a smaller value than before, or vanished. */
class Scraper {
  readonly #values = new Map<string, number>();
  readonly #wrong: string[] = [];
  #scrapes = 0;
  #stopped = false;
  readonly #ended: Promise<void>;

  /** @param socketPath of the status */
  constructor(
    private readonly t: Test,
    private readonly socketPath: string,
  ) {
    this.#ended = this.#run();
    t.teardown(() => this.stop());
  }

  /** All series of a metric, added up. */
  sum(metric: string): number {
    const found = [...this.#values].filter(([series]) => series.startsWith(`${metric}{`));
    return found.reduce((sum, [, value]) => sum + value, 0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
  }

  /** Ends it: nothing was wrong. */
  async judge(): Promise<void> {
    await this.stop();
    this.t.comment(`${this.#scrapes} scrapes of ${this.#values.size} counters`);
    this.t.ok(this.#scrapes > 20 && this.#values.size > 5, 'it was scraped');
    this.t.strictSame(this.#wrong, [], 'no counter decreased, or vanished');
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const { status, body } = await ask('http://status/metrics', { socketPath: this.socketPath });
      if (status !== 200) this.#wrong.push(`status ${status}`);
      this.#take(body);
      this.#scrapes++;
      await wait(SCRAPE_MS);
    }
  }

  #take(text: string): void {
    const samples = text.matchAll(/^(\w+_total(?:\{.*\})?) (\S+)$/gm);
    const now = new Map([...samples].map(([, series, value]) => [series!, Number(value)]));
    for (const [series, before] of this.#values) {
      const value = now.get(series);
      if (value === undefined || value < before) this.#wrong.push(`${series}: ${before}, then ${value}`);
    }
    for (const [series, value] of now) this.#values.set(series, value);
  }
}

/** A folder whose path is short enough for a Unix socket. */
function folder(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'counters-'));
  t.teardown(() => rmSync(made, { recursive: true }));
  return made;
}

function indexOf(host: Host): string {
  return host.ip('-o', 'link', 'show', 'dev', 'eth0').split(':')[0]!;
}

/** Waits until metrics are larger than at this call. */
async function growing(scraper: Scraper, metrics: string[], when: string): Promise<void> {
  const before = metrics.map((metric) => scraper.sum(metric));
  const grown = () => metrics.every((metric, i) => scraper.sum(metric) > before[i]! + 10);
  await until(`${metrics.join(' and ')} grow ${when}`, grown, LONGEST_MS);
}

for (const engine of ['linux', 'node'])
  t.test(
    `${engine}: while an interface is removed and comes back, no counter decreases`,
    { skip: noNamespaces },
    async (t) => {
      const { bridge, hosts } = lan(t, 2);
      const [host, other] = hosts as [Host, Host];
      const socketPath = join(folder(t), 'status');
      const group = '239.7.7.7:9921,interface=eth0';
      const forward = start(
        t,
        'forward',
        [
          ...['--engine', engine, '--status-addr', `unix:${socketPath}`, '--udp-listen-addr', group],
          ...['--udp-downstream-addr', '239.7.7.8:9922,interface=eth0'],
          ...['--udp-downstream-addr', '10.77.0.2:9923,frame=mold'],
        ],
        { namespace: host.name },
      );
      await forward.says('listening:');
      const client = start(t, 'client', ['--path', '-', '--server-addr', group], { namespace: other.name });
      const timer = setInterval(() => client.child.stdin!.write('line\n'), 20);
      t.teardown(() => clearInterval(timer));
      const scraper = new Scraper(t, socketPath);
      const metrics = ['mproxy_received_datagrams_total', 'mproxy_sent_datagrams_total'];
      await growing(scraper, metrics, 'at first');
      for (const keepsIndex of [false, true]) {
        const index = keepsIndex ? indexOf(host) : undefined;
        const said = forward.stderr.length;
        host.ip('link', 'del', 'eth0');
        await until('it is missed', () => forward.stderr.includes('eth0 is gone', said), LONGEST_MS);
        plug(bridge, host, 1, index);
        await growing(scraper, metrics, 'after it came back');
        host.ip('link', 'del', 'eth0');
        plug(bridge, host, 1);
        await growing(scraper, metrics, 'after it came back at once');
      }
      clearInterval(timer);
      await scraper.judge();
      t.equal(await forward.stop(), 0, forward.stderr);
    },
  );

t.test('while files are opened again, no counter decreases', async (t) => {
  const made = folder(t);
  const [socketPath, path] = [join(made, 'status'), join(made, 'out')];
  const server = start(t, 'server', [
    ...['--path', path, '--listen-addr', '127.0.0.1:0', '--status-addr', `unix:${socketPath}`],
  ]);
  const port = await server.port();
  const timer = setInterval(() => udpSend(port, ['line\n']), 10);
  t.teardown(() => clearInterval(timer));
  const scraper = new Scraper(t, socketPath);
  const metrics = ['mproxy_received_datagrams_total', 'mproxy_sent_datagrams_total'];
  for (let i = 0; i < 5; i++) {
    await growing(scraper, metrics, `before reload ${i}`);
    renameSync(path, `${path}.${i}`);
    server.child.kill('SIGHUP');
    await growing(scraper, metrics, `after reload ${i}`);
  }
  clearInterval(timer);
  await scraper.judge();
  t.equal(await server.stop(), 0);
});

t.test(
  'over reconnects and a new resolution of destinations, no counter decreases',
  { skip: noNameServer },
  async (t) => {
    const dns = await new NameServer(t).up();
    dns.hosts.set('to.test', '127.0.0.2');
    const socketPath = join(folder(t), 'status');
    const upstream = await tcpServer(t, (socket) => {
      const timer = setInterval(() => socket.write('line\n'.repeat(5)), 10);
      socket.on('error', () => undefined).on('close', () => clearInterval(timer));
      setTimeout(() => socket.destroy(), 2000);
    });
    const [udp, mold, tcp] = [await freeUdpPort(), await freeUdpPort(), await freeTcpPort()];
    const forward = dns.start('forward', [
      ...['--status-addr', `unix:${socketPath}`, '--tcp-connect-addr', `127.0.0.1:${upstream.port}`],
      ...['--udp-downstream-addr', `to.test:${udp}`, '--udp-downstream-addr', `to.test:${mold},frame=mold`],
      ...['--udp-downstream-addr', `tcp://127.0.0.1:${tcp}`],
    ]);
    await forward.says('status:');
    const scraper = new Scraper(t, socketPath);
    const metrics = ['mproxy_received_datagrams_total', 'mproxy_sent_datagrams_total'];
    await growing(scraper, metrics, 'at first');
    dns.hosts.set('to.test', '127.0.0.3');
    await until('it is sent to the new address', () => /127\.0\.0\.3/.test(forward.stderr), RESOLVED_MS);
    await growing(scraper, metrics, 'to the new address');
    const reconnects = scraper.sum('mproxy_reconnects_total');
    t.ok(reconnects > 3, `${reconnects} reconnects`);
    await scraper.judge();
    t.equal(await forward.stop(), 0, forward.stderr);
  },
);

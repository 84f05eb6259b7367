import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { nameHosts } from '../lan/tools.js';
import { start, startProgram } from '../support/command.js';
import { type Host, lan } from '../support/namespace.js';
import { until } from '../support/wait.js';
import { noSites } from './sites.js';

const PAGE = fileURLToPath(new URL('../../../docs/beyond-one-machine.md', import.meta.url));

t.test(
  'three sites with the configuration of the manual, one server of the hub stopped',
  { skip: noSites },
  async (t) => {
    const { hosts } = lan(t, 6);
    const [hub1, hub2, hub3, ...sites] = hosts as [Host, Host, Host, Host, Host, Host];
    const [a, b, c] = sites as [Host, Host, Host];
    const folder = mkdtempSync(join(tmpdir(), 'mproxy-sites-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const configs = [...readFileSync(PAGE, 'utf8').matchAll(/```conf\n(.*?)```/gs)].map(([, text]) => text!);
    t.equal(configs.length, 2);
    // The hosts have one disk. Each site has a domain of its own.
    const serve = async (host: Host, config: string, name: string) => {
      const names = [1, 2, 3].map((i) => `10.77.0.${i} hub-${i}.example.net`);
      nameHosts(t, host, ['127.0.0.1 localhost', ...names]);
      const file = join(folder, `${name}.conf`);
      const own = config.replace('/var/lib/nats', join(folder, name)).replace('domain: a', `domain: ${name}`);
      writeFileSync(file, own);
      const flags = ['-c', file, '--name', name];
      const server = startProgram(t, 'nats-server', flags, { namespace: host.name });
      await server.says('Server is ready');
      return server;
    };
    const [hubConfig, leafConfig] = configs as [string, string];
    const hubs = await Promise.all(
      [hub1, hub2, hub3].map((host, i) => serve(host, hubConfig, `hub-${i + 1}`)),
    );
    for (const hub of hubs) await hub.says('Route connection created');
    const leaves = await Promise.all(sites.map((site, i) => serve(site, leafConfig, `site-${i + 1}`)));
    for (const leaf of leaves) await leaf.says('Leafnode connection created');
    const stranger = start(t, 'client', ['--path', '-', '--server-addr', 'nats://hub-1.example.net/ais.a'], {
      namespace: a.name,
    });
    t.equal(await stranger.exited, 1);
    t.match(stranger.stderr, /Authorization Violation/);

    const all = 'nats://127.0.0.1/ais.>';
    const stored = start(t, 'server', ['--listen-addr', all, '--path', '-'], { namespace: c.name });
    const output = start(t, 'server', ['--path', '-', '--listen-addr', '127.0.0.1:0'], { namespace: b.name });
    const to = ['--udp-output-addr', `127.0.0.1:${await output.port()}`];
    const reverse = start(t, 'reverse', ['--multicast-addr', all, ...to], { namespace: b.name });
    for (const one of [stored, reverse]) await one.says('connected to');
    const from = (host: Host, subject: string) => {
      const url = `nats://127.0.0.1/${subject}`;
      return start(t, 'client', ['--path', '-', '--frame', 'line', '--server-addr', url], {
        namespace: host.name,
      });
    };
    const senders = [from(a, 'ais.a'), from(c, 'ais.c')];
    const arrives = async (word: string) => {
      const everywhere = () =>
        [stored, output].every(({ stdout }) =>
          ['a', 'c'].every((site) => stdout.includes(`${word} ${site}`)),
        );
      // Interest takes a moment to spread, and core NATS keeps nothing.
      await until(
        `"${word}" at both receivers`,
        async () => {
          for (const [i, site] of ['a', 'c'].entries()) senders[i]!.child.stdin!.write(`${word} ${site}\n`);
          return everywhere();
        },
        30_000,
      );
    };
    const hub = 'nats://app:app-secret@hub-1.example.net/all,stream=ALL';
    const addStream = fileURLToPath(new URL('./add-stream.js', import.meta.url));
    a.run(process.execPath, addStream, '127.0.0.1', 'AIS', 'feed.a');
    a.run(process.execPath, addStream, 'hub-1.example.net', 'ALL', 'all', '3', 'app', 'app-secret');
    const feed = 'nats://127.0.0.1/feed.a,stream=AIS';
    const first = start(t, 'client', ['--path', '-', '--server-addr', `${feed},frame=mold`], {
      namespace: a.name,
    });
    const hop = start(
      t,
      'forward',
      ['--udp-listen-addr', `${feed},durable=HOP`, '--udp-downstream-addr', hub, '--from-start'],
      { namespace: a.name },
    );
    const last = start(
      t,
      'server',
      ['--listen-addr', `${hub},durable=LAST,frame=mold`, '--path', '-', '--from-start'],
      { namespace: c.name },
    );
    for (const one of [first, hop, last]) await one.says('connected to');
    const passes = async (word: string) => {
      first.child.stdin!.write(`${word}\n`);
      await until(`"${word}" through both streams`, () => last.stdout.includes(word), 30_000);
    };
    await arrives('before');
    await passes('one');
    await hubs[0]!.kill();
    await arrives('after');
    await passes('two');
    t.equal(String(last.stdout), 'one\ntwo\n');
    for (const one of [...senders, stored, reverse])
      t.notMatch(
        one.stderr,
        /disconnected/,
        'programs notice nothing: they are connected to their leaf nodes',
      );
  },
);

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
    const { hosts } = lan(t, 5);
    const [hub1, hub2, ...sites] = hosts as [Host, Host, Host, Host, Host];
    const [a, b, c] = sites as [Host, Host, Host];
    const folder = mkdtempSync(join(tmpdir(), 'mproxy-sites-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const configs = [...readFileSync(PAGE, 'utf8').matchAll(/```conf\n(.*?)```/gs)].map(([, text]) => text!);
    t.equal(configs.length, 2);
    const [hubFile, leafFile] = ['hub.conf', 'leaf.conf'].map((name) => join(folder, name)) as [
      string,
      string,
    ];
    writeFileSync(hubFile, configs[0]!);
    writeFileSync(leafFile, configs[1]!);
    const serve = async (host: Host, file: string) => {
      nameHosts(t, host, [
        '127.0.0.1 localhost',
        '10.77.0.1 hub-1.example.net',
        '10.77.0.2 hub-2.example.net',
      ]);
      const server = startProgram(t, 'nats-server', ['-c', file], { namespace: host.name });
      await server.says('Server is ready');
      return server;
    };
    const hubs = [await serve(hub1, hubFile), await serve(hub2, hubFile)] as const;
    for (const hub of hubs) await hub.says('Route connection created');
    const leaves = await Promise.all(sites.map((site) => serve(site, leafFile)));
    for (const leaf of leaves) await leaf.says('Leafnode connection created');

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
    await arrives('before');
    await hubs[0].kill();
    await arrives('after');
    for (const one of [...senders, stored, reverse])
      t.notMatch(
        one.stderr,
        /disconnected/,
        'programs notice nothing: they are connected to their leaf nodes',
      );
  },
);

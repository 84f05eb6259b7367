import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { ENGINES } from '../net/engines.js';
import { until } from '../support/wait.js';
import { ManyClients } from './many-clients.js';
import { secureProgram } from './secure-program.js';

const TUNNELS = 5000;
const IDLE = 2000;
/** Opened before, so that what grows once has grown. */
const FIRST = 200;

async function tunnelOrigin(t: Test): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const child = fork(fileURLToPath(new URL('tunnel-origin.js', import.meta.url)), { env });
  t.teardown(() => child.kill('SIGKILL'));
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return `http://127.0.0.1:${port}`;
}

interface Case {
  what: string;
  count: number;
  secure: boolean;
  tunnels: boolean;
  /** The most memory of each with the linux engine, in bytes. */
  most: number;
}

const CASES: Case[] = [
  { what: 'tunnels', count: TUNNELS, secure: false, tunnels: true, most: 16 * 1024 },
  { what: 'tunnels by TLS', count: TUNNELS, secure: true, tunnels: true, most: 40 * 1024 },
  { what: 'idle connections by TLS', count: IDLE, secure: true, tunnels: false, most: 40 * 1024 },
];

for (const { name } of ENGINES)
  for (const { what, count, secure, tunnels, most } of CASES)
    t.test(`${name}: ${count} ${what}`, async (t) => {
      const upstream = await tunnelOrigin(t);
      const routes = [
        tunnels
          ? { path: '/', upstream, pool: { max_connections: 2 * count } }
          : { path: '/', respond: { body: 'here' } },
      ];
      const long = { max_connections: 2 * count, timeouts: { idle: '5m' } };
      const { gateway, ask } = await secureProgram(
        t,
        () => ({ routes, ...long, ...(!secure && { tls: { enabled: false } }) }),
        { engine: name, workers: 1 },
      );
      const clients = new ManyClients(t);
      const kind = { secure, tunnels };
      await clients.open(gateway.port, FIRST, { kind });
      const before = process.platform === 'linux' ? gateway.memory : 0;
      await clients.open(gateway.port, count, { kind });
      t.equal(await gateway.connections(), FIRST + count);
      if (tunnels) t.equal(await gateway.metric('http_tunnels{route="/"}'), FIRST + count);
      if (process.platform === 'linux') {
        const each = Math.round((gateway.memory - before) / count);
        t.comment(`${each} bytes each`);
        if (name === 'linux') t.ok(each <= most, `${each} bytes each`);
      }
      await clients.ask();
      t.equal(clients.sum('closed'), 0);
      if (secure && !tunnels) t.equal(await ask(), '200 here', 'another client');
      clients.close();
      await until('none is left', async () => (await gateway.connections()) === 0, 60_000);
      if (tunnels) t.equal(await gateway.metric('http_tunnels{route="/"}'), 0);
    });

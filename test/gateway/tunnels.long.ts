import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { SWITCHED, tunnelOrigin, upgrade } from '../service/tunnels.js';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';
import { IdleClients } from './idle-processes.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';

const MANY = 5000;
/** Growth of the memory of the program for each tunnel, on the linux engine: two connections. */
const MOST_BYTES = 16 * 1024;

for (const { name } of ENGINES) {
  t.test(`${name}: ${MANY} open tunnels`, async (t) => {
    const origin = await tunnelOrigin(t);
    origin.onHead = (end) => {
      end.send(SWITCHED);
      end.socket.removeAllListeners('data').pipe(end.socket);
    };
    const routes = [
      { path: '/here', respond: { body: 'here' } },
      { path: '/', upstream: origin.url, pool: { max_connections: MANY } },
    ];
    const config = { routes, max_connections: 2 * MANY };
    const gateway = await program(t, config, { engine: name, logs: false });
    const other = await rawClient(t, gateway.port);
    const ask = async () => {
      const before = performance.now();
      const count = other.finals.length + 1;
      other.send('GET /here HTTP/1.1\r\nHost: h\r\n\r\n');
      await other.answered(count);
      return performance.now() - before;
    };
    for (let i = 0; i < 1000; i++) await ask();
    const [memory, descriptors] = [gateway.memory, gateway.descriptors];
    const all = new IdleClients(t, gateway.port, MANY, 1, upgrade());
    await until('all are open', () => all.open === MANY, 120_000);
    const now = () => gateway.metric('http_tunnels{route="/"}');
    await until('all are counted', async () => (await now()) === MANY);
    if (process.platform === 'linux') {
      const each = Math.round((gateway.memory - memory) / MANY);
      t.comment(`${each} bytes each`);
      if (name === 'linux') t.ok(each <= MOST_BYTES, `${each} bytes each`);
    }
    await inOneOfSome(t, async () => {
      const times: number[] = [];
      for (let i = 0; i < 100; i++) times.push(await ask());
      const median = times.sort((a, b) => a - b)[50]!;
      return untrue({ [`a request among them takes ${median.toFixed(1)} ms`]: median < 20 });
    });
    all.ask();
    await until('bytes pass through all', () => all.answered === MANY, 60_000);
    t.equal(all.closed, 0);
    if (process.platform === 'linux')
      t.comment(`${Math.round((gateway.memory - memory) / MANY)} bytes each, used once`);
    all.end();
    await until('none is left', async () => (await now()) === 0, 60_000);
    await until('nor at the origin', () => origin.ends.every(({ end }) => end !== 'open'), 60_000);
    if (process.platform === 'linux')
      await until('nor a descriptor', () => gateway.descriptors <= descriptors, 60_000);
    await until('one connection is left', async () => (await gateway.connections()) === 1);
  });
}

import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';
import { ManyClients } from './many-clients.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';

const MANY = 10_000;
const PROCESSES = 2;
/** Time in which all are opened and looked at, in seconds. */
const IDLE = 60;

for (const { name } of ENGINES) {
  t.test(`${name}: ${MANY} idle kept connections`, async (t) => {
    const origin = await recordingOrigin(t);
    origin.onRequest = (received) => received.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    const config = { max_connections: 2 * MANY, timeouts: { idle: `${IDLE}s` } };
    const gateway = await program(
      t,
      { routes: [{ path: '/', upstream: origin.url }], ...config },
      { engine: name, logs: false },
    );
    const other = await rawClient(t, gateway.port);
    const ask = async () => {
      const before = performance.now();
      const count = other.finals.length + 1;
      other.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      await other.answered(count);
      return performance.now() - before;
    };
    for (let i = 0; i < 1000; i++) await ask();
    const before = gateway.memory;
    const clients = new ManyClients(t);
    await clients.open(gateway.port, MANY, { processes: PROCESSES });
    t.equal(await gateway.connections(), MANY + 1);
    if (process.platform === 'linux') {
      const each = (gateway.memory - before) / MANY;
      t.comment(`${Math.round(each)} bytes each`);
      if (name === 'linux') t.ok(each <= 8192, `${Math.round(each)} bytes each`);
    }
    await inOneOfSome(t, async () => {
      const times: number[] = [];
      for (let i = 0; i < 100; i++) times.push(await ask());
      const median = times.sort((a, b) => a - b)[50]!;
      return untrue({ [`a request among them takes ${median.toFixed(1)} ms`]: median < 20 });
    });
    await clients.ask();
    t.equal(clients.sum('closed'), 0);
    const from = performance.now();
    await until('all are closed', () => clients.sum('closed') === MANY, 2 * IDLE * 1000);
    t.ok(performance.now() - from > IDLE * 500, 'after their time');
    await until('none is left', async () => (await gateway.connections()) <= 1);
  });
}

import { readdirSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import t from 'tap';
import { until } from '../support/wait.js';
import { Client, gateway, IS_NODE, origin } from './running.js';

const descriptors = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);

const ENDS: [how: string, end: (worker: Worker) => void, reason: RegExp][] = [
  ['is terminated', (worker) => void worker.terminate(), /^it left without an error$/],
  // What it cannot read is an exception that nothing catches.
  ['throws', (worker) => worker.postMessage(null), /^TypeError: .* at /],
];

for (const [how, end, reason] of ENDS) {
  t.test(`a worker that ${how} is replaced, and the others go on`, async (t) => {
    const workers = IS_NODE ? 1 : 4;
    let held = 0;
    const to = await origin(t, (request, response) => {
      if (request.url === '/hold') held++;
      else response.end(request.url);
    });
    const running = await gateway(t, { route: `/=${to}`, workers });
    await until('all workers are there', () => running.workers.length === workers);
    const clients = Array.from({ length: 80 }, () => new Client(t, running.port));
    const answers = await Promise.all(clients.map((client) => client.get('/x')));
    t.ok(answers.every(({ status, body }) => status === 200 && body === '/x'));
    t.equal(running.metric('http_connections'), 80);
    const before = descriptors();
    const [first] = clients;
    first!.send('/hold');
    await until('a request is held', () => held === 1);
    t.equal(running.metric('http_requests_in_progress'), 1);
    const total = running.metric('http_requests');

    // Which of them serves the held request is not known: all but the last are ended, one after the other.
    const ended = running.workers.slice(0, Math.max(1, workers - 1));
    let seen = running.metric('http_requests');
    const monotone = setInterval(() => {
      const now = running.metric('http_requests');
      if (now < seen) t.fail(`${now} requests after ${seen}`);
      seen = now;
    }, 1);
    t.teardown(() => clearInterval(monotone));
    for (const [i, worker] of ended.entries()) {
      end(worker);
      const { fields } = await running.notice('worker_failed', i);
      t.match(String(fields.reason), reason);
      await until('its successor is there', () => running.workers.length === workers + i + 1);
      await until('and serves', () => running.metric('workers') === workers);
      const next = new Client(t, running.port);
      t.equal((await next.get('/y')).status, 200);
      next.socket.destroy();
      const open = () => clients.filter((client) => !client.closed).length;
      await until('it has left', () => running.metric('http_connections') === open());
    }
    clearInterval(monotone);
    const closed = () => clients.filter((client) => client.closed).length;
    const told = running.notices.filter(({ event }) => event === 'worker_failed');
    const connections = told.reduce((sum, { fields }) => sum + Number(fields.connections), 0);
    await until('their clients are closed', () => closed() >= connections);
    t.equal(closed(), connections);
    if (!IS_NODE) t.ok(closed() > 30 && closed() < 80, `${closed()} of 80 closed: clients were spread`);
    const left = clients.filter((client) => !client.closed && client !== first);
    const again = await Promise.all(left.map((client) => client.get('/z')));
    t.ok(
      again.every(({ body }) => body === '/z'),
      'the others go on',
    );

    const lost = first!.closed ? 1 : 0;
    t.equal(running.metric('http_requests_lost'), lost);
    t.equal(running.metric('worker_restarts'), ended.length);
    t.equal(running.metric('http_requests'), total + ended.length + left.length, 'counters outlive workers');
    t.equal(running.handle.losses().length, lost);
    for (const client of clients) client.socket.destroy();
    await until('no connection is left', () => running.metric('http_connections') === 0);
    // Of clients 80 ends each in this process and in the gateway; of upstreams what the pools keep.
    if (!IS_NODE) await until('nor a descriptor', () => descriptors() <= before - 2 * 80 + 10);
  });
}

t.test('a worker that dies again at once waits longer and longer', async (t) => {
  const running = await gateway(t, { route: `/=${await origin(t)}`, workers: 1 });
  for (let i = 0; i < 3; i++) {
    await until('it runs', () => running.metric('workers') === 1);
    void running.workers.at(-1)!.terminate();
    await running.notice('worker_failed', i);
  }
  const waits = running.notices.flatMap(({ event, fields }) =>
    event === 'worker_failed' ? [fields.retryMs] : [],
  );
  t.equal(waits[0], undefined, 'the first successor starts at once');
  t.ok(Number(waits[1]) >= 400 && Number(waits[1]) <= 500);
  t.ok(Number(waits[2]) >= 800 && Number(waits[2]) <= 1000);
  t.equal(running.handle.stats().figures!.unhealthy, 'no worker is running');
  await until('it runs again', () => running.metric('workers') === 1);
  t.equal(running.handle.stats().figures!.unhealthy, undefined);
  t.equal((await new Client(t, running.port).get('/')).status, 200);
});

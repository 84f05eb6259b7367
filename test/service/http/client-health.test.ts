import { RetryBudget } from 'mproxy-service/http/client-budget';
import { HEALTH_CELLS, Health } from 'mproxy-service/http/client-health';
import t from 'tap';
import { ENGINES } from '../../net/engines.js';
import { freeTcpPort } from '../../support/net.js';
import { until } from '../../support/wait.js';
import { ask, client, context, request } from '../exchanges.js';
import { ok, origin, type Visit } from '../origin.js';

t.test('three failures in a row eject, if they are of more than one client', async (t) => {
  const health = new Health(undefined, 1000);
  for (let i = 0; i < 10; i++) t.equal(health.failed('192.0.2.1'), undefined);
  t.equal(health.isOut, false, 'of one client alone');
  t.equal(health.failed('192.0.2.2'), 1000);
  t.equal(health.isOut, true);
  t.equal(health.failed('192.0.2.3'), undefined, 'it is out already');
  t.equal(health.checked(false), 2000, 'twice as long');
  t.equal(health.checked(false), 4000);
  t.equal(health.checked(true), undefined);
  t.equal(health.isOut, false);
  for (const client of ['a', 'b']) t.equal(health.failed(client), undefined);
  t.equal(health.failed('c'), 8000, 'it has not worked in between');
  health.checked(true);
  health.succeeded();
  for (const client of ['a', 'b']) t.equal(health.failed(client), undefined);
  health.succeeded();
  for (const client of ['a', 'b']) t.equal(health.failed(client), undefined, 'a success in between');
  t.equal(health.failed('c'), 1000);
});

t.test('an ejection is no longer than five minutes', async (t) => {
  const health = new Health(undefined, 10_000);
  for (const client of ['a', 'b']) health.failed(client);
  let ms = health.failed('c');
  for (let i = 0; i < 100; i++) ms = health.checked(false);
  t.equal(ms, 300_000);
});

t.test('an ejection that no check ended is over for good, whenever it is looked at again', async (t) => {
  const { hrtime } = process;
  t.teardown(() => {
    process.hrtime = hrtime;
  });
  const DAY = 24 * 60 * 60;
  for (let days = 1; days < 200; days++) {
    process.hrtime = hrtime;
    const health = new Health();
    for (const client of ['a', 'b', 'c']) health.failed(client);
    t.equal(health.isOut, true);
    const [now, ns] = hrtime();
    process.hrtime = (() => [now + days * DAY, ns]) as unknown as typeof hrtime;
    t.equal(health.isOut, false, `after ${days} days`);
  }
});

t.test('workers share what they know', async (t) => {
  const cells = new Int32Array(new SharedArrayBuffer(4 * HEALTH_CELLS));
  const one = new Health(cells);
  const other = new Health(cells);
  one.failed('a');
  other.failed('b');
  t.equal(one.failed('c'), 10_000);
  t.equal(other.isOut, true);
  other.checked(true);
  t.equal(one.isOut, false);
});

t.test('a retry budget grows by a fifth for each request, up to ten', async (t) => {
  const budget = new RetryBudget();
  for (let i = 0; i < 10; i++) t.equal(budget.take(), true);
  t.equal(budget.take(), false);
  for (let i = 0; i < 5; i++) budget.request();
  t.equal(budget.take(), true);
  t.equal(budget.take(), false);
  for (let i = 0; i < 1000; i++) budget.request();
  for (let i = 0; i < 10; i++) t.equal(budget.take(), true);
  t.equal(budget.take(), false);
});

t.test('without descriptors for sockets the answer is 503, and no upstream is to blame', async (t) => {
  const [{ streams }] = ENGINES as [(typeof ENGINES)[0]];
  const connect = () => Promise.reject(Object.assign(new Error('too many'), { code: 'EMFILE' }));
  const http = client(t, { ...streams, connect }, { upstreams: ['http://127.0.0.1:9'] });
  for (let i = 1; i <= 6; i++) {
    const { shown } = await ask(http, request(), context({ peer: `192.0.2.${i}` })).ended();
    t.equal(shown, '503 no socket is left for a connection to the upstream');
  }
  t.equal(http.upstreams[0]!.health.isOut, false);
});

for (const { name, streams } of ENGINES) {
  t.test(`${name}: an upstream that fails is out until a check succeeds`, async (t) => {
    const works = await origin(t);
    const port = await freeTcpPort();
    const results: string[] = [];
    const http = client(t, streams, {
      upstreams: [works.url, `http://127.0.0.1:${port}`],
      ejection: 200,
      observer: {
        onAttempt: (upstream, result) => results.push(`${upstream} ${result}`),
        onRetry: (upstream) => results.push(`retry ${upstream}`),
        onHealth: (upstream, up) => results.push(`${upstream} ${up ? 'up' : 'down'}`),
      },
    });
    let clients = 0;
    const get = () => ask(http, request(), context({ peer: `192.0.2.${++clients}` })).ended();
    await until('it is out', async () => {
      t.equal((await get()).shown, '200 ok');
      return results.includes('1 down');
    });
    t.equal(results.filter((one) => one === '1 unconnected').length, 3);
    t.equal(results.filter((one) => one === 'retry 0').length, 3);
    results.length = 0;
    for (let i = 0; i < 6; i++) await get();
    // It may have been asked again already.
    t.strictSame(
      [...new Set(results)].filter((one) => !one.startsWith('1 ')),
      ['0 answered'],
    );
    await until('it is out for longer', () => results.includes('1 down'));
    const back = await origin(t, { port });
    await until('it is up', () => results.includes('1 up'));
    for (let i = 0; i < 4; i++) await get();
    t.equal(back.visits.length, 2);
  });

  t.test(
    `${name}: resets and missing answers eject; errors that it answers, and cancels, do not`,
    async (t) => {
      const server = await origin(t);
      const timeouts = { responseHead: 100 };
      const works: Record<string, (visit: Visit, leave: () => void) => void> = {
        reset: ({ socket }) => socket.resetAndDestroy(),
        silence: () => undefined,
        'an error': (visit) => visit.answer('HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n'),
        cancels: (_, leave) => leave(),
        'kept ones that close': ({ socket, number }) =>
          number > 1 ? socket.destroy() : socket.write(ok('')),
      };
      for (const [what, act] of Object.entries(works)) {
        const http = client(t, streams, { upstreams: [server.url], retries: 0, timeouts });
        for (let i = 1; i <= 4; i++) {
          const how = context({ peer: `192.0.2.${i}` });
          server.onVisit = (visit) => act(visit, () => how.abort(new Error('left')));
          await ask(http, request(), how).ended();
        }
        t.equal(http.upstreams[0]!.health.isOut, what === 'reset' || what === 'silence', what);
      }
    },
  );

  t.test(`${name}: kept connections that turn out closed do not eject`, async (t) => {
    const server = await origin(t);
    const http = client(t, streams, { upstreams: [server.url] });
    server.onVisit = () => undefined;
    const from = (i: number) => ask(http, request({ method: 'POST' }), context({ peer: `192.0.2.${i}` }));
    const answers = [1, 2, 3, 4].map(from);
    await server.visited(4);
    for (const visit of server.visits) visit.answer(ok(''));
    for (const answer of answers) await answer.ended();
    server.onVisit = ({ socket }) => socket.destroy();
    for (const i of [1, 2, 3, 4]) t.equal((await from(i).ended()).status, 502);
    t.equal(server.sockets.length, 4);
    t.equal(http.upstreams[0]!.health.isOut, false);
  });

  t.test(`${name}: if all upstreams are out, all are used`, async (t) => {
    const ports = [await freeTcpPort(), await freeTcpPort()];
    const http = client(t, streams, { upstreams: ports.map((port) => `http://127.0.0.1:${port}`) });
    for (let i = 1; i < 9; i++) await ask(http, request(), context({ peer: `192.0.2.${i}` })).ended();
    t.ok(http.upstreams.every(({ health }) => health.isOut));
    const servers = [await origin(t, { port: ports[0]! }), await origin(t, { port: ports[1]! })];
    for (let i = 0; i < 4; i++) t.equal((await ask(http).ended()).shown, '200 ok');
    t.strictSame(
      servers.map(({ visits }) => visits.length),
      [2, 2],
    );
  });
}

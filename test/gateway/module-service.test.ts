import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import { Client, gateway, IS_NODE } from './running.js';

const MODULE = `
import { HttpResponse } from 'mproxy-service/http/message';
import { isMainThread, threadId } from 'node:worker_threads';

const hoard = [];
const answers = {
  '/ok': () => HttpResponse.text(200, 'ok\\n'),
  '/later': async () => HttpResponse.text(200, 'later\\n'),
  '/thread': () => HttpResponse.text(200, String(isMainThread ? 'main' : threadId)),
  '/throws': () => { throw new Error('thrown on purpose'); },
  '/nothing': () => undefined,
  '/nothing-later': async () => undefined,
  '/text': () => 'no response',
  '/rejects': async () => { throw new Error('rejected on purpose'); },
  '/crashes': () => new Promise(() => setImmediate(() => { throw new Error('uncaught on purpose'); })),
  '/heap': () => { for (;;) hoard.push(Array.from({ length: 1e5 }, Math.random)); },
};
export const config = { middlewares: [{ type: 'headers', config: { response: { set: { 'x-from': 'module' } } } }] };
export default { call: ({ path }) => (answers[path] ?? (() => HttpResponse.text(404, 'no\\n')))() };
`;

const WORKERS = IS_NODE ? 1 : 2;

const start = (t: Test, text = MODULE) =>
  gateway(t, { config: `${t.testdir({ 'app.mjs': text })}/app.mjs`, workers: WORKERS });

t.test('a module that exports a service serves, with the rest of its configuration', async (t) => {
  const running = await start(t);
  const client = new Client(t, running.port);
  const answer = await client.get('/ok');
  t.match(answer, { status: 200, body: 'ok\n' });
  t.match(answer.head, /\r\nx-from: module\r\n/i);
  t.match(await client.get('/later'), { status: 200, body: 'later\n' });
  t.match(await client.get('/other'), { status: 404 });
  t.match((await client.get('/thread')).body, /^\d+$/, 'in a worker');
});

for (const [how, reason] of [
  ['throws', /thrown on purpose/],
  ['rejects', /rejected on purpose/],
  ['nothing', /^TypeError/],
  ['nothing-later', /^TypeError/],
  ['text', /./],
] as const) {
  t.test(`a service that fails (${how}) fails its request alone: 500, and an event says why`, async (t) => {
    const running = await start(t);
    const client = new Client(t, running.port);
    t.match(await client.get(`/${how}`), { status: 500, body: 'internal error\n' });
    t.match(await client.get('/ok'), { status: 200 }, 'on the same connection');
    const { fields } = await running.notice('service_failed');
    t.match(String(fields.reason), reason);
    t.equal(running.metric('http_requests', { status_class: '5xx' }), 1);
  });
}

for (const [path, reason] of [
  ['/crashes', /uncaught on purpose/],
  ['/heap', /^its heap is exhausted$/],
] as const) {
  t.test(`a service that ends its worker (${path}) ends that alone, and it is replaced`, async (t) => {
    const running = await start(t);
    const victim = new Client(t, running.port);
    await victim.get('/ok');
    victim.send(path);
    // A heap takes its time to be full.
    const failed = () => running.notices.some(({ event }) => event === 'worker_failed');
    await until('it has failed', failed, 60_000);
    const { fields } = await running.notice('worker_failed');
    t.match(String(fields.reason), reason);
    await until('its connections are closed', () => victim.closed);
    await until('its successor serves', () => running.metric('workers') === WORKERS);
    t.match(await new Client(t, running.port).get('/ok'), { status: 200 });
  });
}

t.test('a module that cannot be loaded in a worker: nothing starts, and the error says why', async (t) => {
  const text = `if (!isMainThread) throw new Error('not in a worker');
${MODULE}`;
  await t.rejects(start(t, text), { message: /not in a worker/ });
  const changed = `import { isMainThread } from 'node:worker_threads';
export default isMainThread ? { call() {} } : {};`;
  await t.rejects(start(t, changed), {
    code: 'MPROXY_USAGE',
    message: /app\.mjs: its default export has no method call/,
  });
});

import { RESPOND, respond } from 'mproxy-service/layers/respond';
import t from 'tap';
import { call, echo } from '../calls.js';
import { layerOf, problemsOf } from './tables.js';

t.test('answers with the same status, fields and body', async (t) => {
  const service = respond({ status: 503, body: 'später\n', headers: { 'Retry-After': '60' } });
  for (let i = 0; i < 2; i++) {
    const { status, fields, body } = await call(service);
    t.equal(status, 503);
    t.strictSame(fields, { 'retry-after': '60', 'content-type': 'text/plain; charset=utf-8' });
    t.equal(Buffer.from(body, 'latin1').toString(), 'später\n', 'in UTF-8');
  }
  t.match(await call(respond()), { status: 200, fields: { 'content-type': undefined }, body: '' });
  const html = respond({ body: '<p>', contentType: 'text/html' });
  t.equal((await call(html)).fields['content-type'], 'text/html');
  const once = respond({ body: '<p>', headers: { 'Content-Type': 'text/html' } });
  t.equal((await call(once)).fields['content-type'], 'text/html', 'one type alone');
});

t.test('what a layer changes in one response is in no other', async (t) => {
  const service = respond({ headers: { a: '1' } });
  const context = (await call(service)).context;
  const response = service.call((await call(service)).request, context) as {
    fields: { set(n: string, v: string): void };
  };
  response.fields.set('a', '2');
  t.equal((await call(service)).fields.a, '1');
});

t.test('its table', async (t) => {
  t.match(
    await call(layerOf(RESPOND, { body: 'x' })(echo)),
    { status: 200, body: 'x' },
    'nothing is passed on',
  );
  for (const [config, problem] of [
    [{ status: 100 }, 'config.status: 100: expected an integer from 200 to 599'],
    [{ status: 204, body: 'x' }, 'config.body: a response with status 204 has none'],
    [
      { headers: { 'Transfer-Encoding': 'x' } },
      'config.headers.Transfer-Encoding: it belongs to the connection, and cannot be changed here',
    ],
  ] as const)
    t.strictSame(problemsOf(RESPOND, config), [problem]);
});

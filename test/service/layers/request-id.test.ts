import type { HttpLayer } from 'mproxy-service/http/message';
import { REQUEST_ID, REQUEST_ID_LAYER, requestId } from 'mproxy-service/layers/request-id';
import { stack } from 'mproxy-service/service';
import t from 'tap';
import { call, echo } from '../calls.js';
import { layerOf, problemsOf } from './tables.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

t.test('each request gets an id of its own: passed on, known to the context, returned', async (t) => {
  const service = requestId()(echo);
  const [one, other] = [await call(service), await call(service)];
  const id = one.fields['x-request-id']!;
  t.match(id, UUID);
  t.equal(one.request.fields.get('x-request-id'), id);
  t.equal(one.context.get(REQUEST_ID), id);
  t.not(other.fields['x-request-id'], id);
});

t.test('only that of a trusted peer is kept, and only if it can be logged', async (t) => {
  for (const [trusted, given, isKept] of [
    [true, 'abc-1', true],
    [true, 'a/b+c=:d.e~f@g', true],
    [true, 'x'.repeat(128), true],
    [true, 'x'.repeat(129), false],
    [true, 'a b', false],
    [true, 'a"b', false],
    [true, 'a,b', false],
    [true, '', false],
    [false, 'abc-1', false],
  ] as const) {
    const service = requestId({ isTrusted: () => trusted })(echo);
    const { request, fields } = await call(service, { fields: { 'X-Request-ID': given } });
    t.equal(fields['x-request-id'] === given, isKept, `${trusted} ${given}`);
    t.strictSame(request.fields.values('x-request-id'), [fields['x-request-id']]);
  }
});

t.test('a field that is spelt with _ is not passed on beside it', async (t) => {
  const fields: [string, string][] = [
    ['X_Request-ID', 'a'],
    ['x-request-id', 'b'],
    ['x-request-id', 'c'],
  ];
  for (const isTrusted of [true, false]) {
    const { request } = await call(requestId({ isTrusted: () => isTrusted })(echo), { fields });
    t.strictSame(
      [...request.fields].map(([name]) => name),
      ['x-request-id'],
    );
    t.match(request.fields.get('x-request-id'), UUID);
  }
});

t.test('lines that the gateway itself has added are left as they are', async (t) => {
  const before: HttpLayer = (inner) => ({
    call(request, context) {
      request.fields.appendLines(Buffer.from('Via: 1.1 mproxy\r\n'));
      return inner.call(request, context);
    },
  });
  const { request, fields } = await call(stack([before, requestId()], echo), {
    fields: { X_Request_Id: 'a' },
  });
  const bytes = Buffer.alloc(request.fields.size);
  const end = request.fields.write(bytes, 0);
  t.equal(bytes.toString('latin1', 0, end), `Via: 1.1 mproxy\r\nx-request-id: ${fields['x-request-id']}\r\n`);
});

t.test('its table', async (t) => {
  const { fields, request } = await call(layerOf(REQUEST_ID_LAYER, { field: 'X-Trace' }, () => true)(echo), {
    fields: { 'x-trace': 'kept' },
  });
  t.equal(fields['x-trace'], 'kept');
  t.equal(request.fields.get('x-request-id'), undefined);
  t.match((await call(layerOf(REQUEST_ID_LAYER, {})(echo))).fields, { 'x-request-id': UUID });
  t.strictSame(problemsOf(REQUEST_ID_LAYER, { field: 'a b' }), [
    'config.field: "a b": it is no name of a field; expected the name of a field',
  ]);
});

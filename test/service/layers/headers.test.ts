import { Fields } from 'mproxy-http';
import { HttpResponse, type HttpService } from 'mproxy-service/http/message';
import { HEADERS, headers } from 'mproxy-service/layers/headers';
import { Pending } from 'mproxy-service/result';
import t from 'tap';
import { call, fieldsOf } from '../calls.js';
import { layerOf, problemsOf } from './tables.js';

const origin: HttpService = {
  call: () =>
    new HttpResponse(
      200,
      Fields.of([
        ['x-a', '1'],
        ['x-a', '2'],
        ['server', 'o'],
      ]),
      undefined,
    ),
};

t.test('removes, then sets, then adds, whatever the case of names', async (t) => {
  const changes = {
    remove: ['X-A', 'SERVER'],
    set: { 'X-B': 'set' },
    add: { 'x-A': 'added', 'X-b': 'more' },
  };
  const fields = [
    ['x-a', '1'],
    ['X-A', '2'],
    ['x-b', 'old'],
    ['x-b', 'older'],
    ['accept', '*/*'],
  ];
  const { request, fields: response } = await call(headers({ request: changes, response: changes })(origin), {
    fields: fields as [string, string][],
  });
  t.strictSame(fieldsOf(request.fields), { 'x-b': 'set, more', accept: '*/*', 'x-a': 'added' });
  t.strictSame(response, { 'x-b': 'set, more', 'x-a': 'added' });
});

t.test('what a client spells with _ does not pass for what is removed or set', async (t) => {
  const request = { remove: ['X-Debug-Mode'], set: { 'X-Auth-User': 'nobody' } };
  const fields: [string, string][] = [
    ['X_Auth_User', 'admin'],
    ['x-auth_user', 'admin'],
    ['X_Debug_Mode', '1'],
    ['X_Other_Name', '2'],
  ];
  const { request: sent } = await call(headers({ request })(origin), { fields });
  t.strictSame(fieldsOf(sent.fields), { x_other_name: '2', 'x-auth-user': 'nobody' });
});

t.test('without changes of responses, the response is that of the service, now or later', async (t) => {
  const later = new Pending<HttpResponse>();
  const layer = headers({ request: { set: { a: 'b' } } });
  const { request, fields } = await call(layer(origin));
  t.equal(request.fields.get('a'), 'b');
  t.strictSame(fields, { 'x-a': '1, 2', server: 'o' });
  const answer = call(headers({ response: { remove: ['a'] } })({ call: () => later }));
  later.resolve(HttpResponse.text(201, 'x\n', { a: 'b' }));
  t.match(await answer, { status: 201, fields: { a: undefined }, body: 'x\n' });
  const failing = new Pending<HttpResponse>();
  const failure = call(headers({ response: { remove: ['a'] } })({ call: () => failing }));
  failing.reject(new Error('no'));
  await t.rejects(failure, new Error('no'));
});

t.test('its table', async (t) => {
  const layer = layerOf(HEADERS, { response: { set: { 'Strict-Transport-Security': 'max-age=60' } } });
  t.match(await call(layer(origin)), { fields: { 'strict-transport-security': 'max-age=60', server: 'o' } });
  const name = 'config.request.set';
  for (const [config, problem] of [
    [{ request: { set: { 'a b': 'x' } } }, `${name}."a b": it is no name of a field`],
    [
      { request: { set: { Connection: 'x' } } },
      `${name}.Connection: it belongs to the connection, and cannot be changed here`,
    ],
    [
      { request: { set: { Host: 'x' } } },
      `${name}.Host: Host cannot be changed here; see host_header of the route`,
    ],
    [
      { request: { set: { a: 'x\r\ny: z' } } },
      `${name}.a: "x\\r\\ny: z": it has what no value of a field may have; expected the value of a field`,
    ],
    [
      { request: { set: { a: ' x' } } },
      `${name}.a: " x": it has what no value of a field may have; expected the value of a field`,
    ],
    [
      { request: { set: { a: 'ключ' } } },
      `${name}.a: "ключ": it has what no value of a field may have; expected the value of a field`,
    ],
    [
      { response: { remove: ['Content-Length'] } },
      'config.response.remove[0]: "Content-Length": it belongs to the connection, and cannot be changed here; expected the name of a field',
    ],
    [{ response: { ad: {} } }, 'config.response.ad: there is no such key; did you mean add?'],
  ] as const)
    t.strictSame(problemsOf(HEADERS, config), [problem]);
  t.throws(
    () => headers({ request: { set: { a: '\n' } } }),
    RangeError,
    'a library finds it at the start, too',
  );
});

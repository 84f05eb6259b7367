import { Rejection } from 'mproxy-http';
import { HttpResponse, type HttpService, type Outcome } from 'mproxy-service/http/message';
import { AccessLog, type AccessLogOptions } from 'mproxy-service/layers/access-log';
import { requestId } from 'mproxy-service/layers/request-id';
import { rewrite } from 'mproxy-service/layers/rewrite';
import { stack } from 'mproxy-service/service';
import t from 'tap';
import { Random } from '../../support/random.js';
import { call, contextOf, echo, type Given, outcomeOf } from '../calls.js';

const NOW = Date.UTC(2026, 10, 27, 10, 33, 26, 4);

/** What is logged of a request whose response has ended. */
async function logged(
  given: Given,
  outcome: Partial<Outcome> = {},
  options: Omit<AccessLogOptions, 'sink'> = {},
  service: HttpService = echo,
): Promise<string[]> {
  const lines: string[] = [];
  const log = new AccessLog({ ...options, sink: { write: (line) => lines.push(line) } });
  const context = contextOf();
  await call(log.layer(service), given, context);
  if (lines.length > 0) throw new Error('logged before its end');
  context.done(outcomeOf(outcome));
  return lines;
}

t.beforeEach(() => {
  Date.now = () => NOW;
});
const { now } = Date;
t.teardown(() => {
  Date.now = now;
});

t.test('a line of JSON: what came, what was chosen, and what became of it', async (t) => {
  const given = { method: 'POST', host: 'a.test', target: '/x/y?q=1', body: 'abc' };
  const outcome = { status: 201, received: 3, sent: 10, firstByte: 1.23456, duration: 2.5 };
  const [line, ...others] = await logged(given, outcome);
  t.strictSame(others, []);
  t.equal(
    line,
    '{"time":"2026-11-27T10:33:26.004Z","client":"192.0.2.1","method":"POST","host":"a.test","path":"/x/y?q=1","protocol":"HTTP/1.1","status":201,"received":3,"sent":10,"duration":2.5,"first_byte":1.235}',
  );
  const choosing: HttpService = {
    call(_request, context) {
      context.route = 'a.test/x';
      context.upstream = '127.0.0.1:3000';
      context.client = '203.0.113.9';
      context.retries = 1;
      return HttpResponse.text(502, 'x\n');
    },
  };
  const [all] = await logged(
    { version: '1.0' },
    { status: 0, firstByte: undefined, cut: 'client left' },
    {},
    requestId()(choosing),
  );
  t.match(JSON.parse(all!), {
    client: '203.0.113.9',
    protocol: 'HTTP/1.0',
    status: 0,
    first_byte: undefined,
    route: 'a.test/x',
    upstream: '127.0.0.1:3000',
    retries: 1,
    request_id: /^[0-9a-f-]{36}$/,
    cut: 'client left',
  });
});

t.test('a line of the combined format', async (t) => {
  const fields = { Referer: 'https://b.test/?s=1', 'User-Agent': 'curl/8' };
  const [line] = await logged({ target: '/a?b', fields, version: '2' }, { sent: 5 }, { format: 'combined' });
  t.equal(
    line,
    '192.0.2.1 - - [27/Nov/2026:10:33:26 +0000] "GET /a?b HTTP/2.0" 200 5 "https://b.test/?s=1" "curl/8"',
  );
  const [bare] = await logged({}, {}, { format: 'combined' });
  t.equal(bare, '192.0.2.1 - - [27/Nov/2026:10:33:26 +0000] "GET / HTTP/1.1" 200 0 "-" "-"');
});

t.test('queries are left out where asked, of Referer, too', async (t) => {
  const given = { target: '/a?secret', fields: { referer: 'https://b.test/c?secret#d' } };
  for (const format of ['json', 'combined'] as const) {
    const [line] = await logged(given, {}, { format, redactQuery: true });
    t.notMatch(line, 'secret');
    t.match(line, '/a');
  }
});

t.test('what layers within change is logged as it came', async (t) => {
  const [line] = await logged(
    { target: '/api/x?q' },
    {},
    {},
    stack([rewrite({ stripPrefix: '/api' })], echo),
  );
  t.equal(JSON.parse(line!).path, '/api/x?q');
});

t.test(
  'log injection: quotes, backslashes, control and other bytes are escaped, lines stay lines',
  async (t) => {
    const evil = 'x"\\\x80\xff\t}';
    const fields = { 'user-agent': evil, referer: evil };
    const [json] = await logged({ target: '/"\\', fields }, { cut: 'a"\r\n{"b":1' });
    t.match(JSON.parse(json!), { path: '/"\\', cut: 'a"\r\n{"b":1' });
    const [combined] = await logged({ target: '/"\\', fields }, {}, { format: 'combined' });
    const shown = 'x\\x22\\x5C\\x80\\xFF\\x09}';
    t.ok(combined!.endsWith(`"GET /\\x22\\x5C HTTP/1.1" 200 0 "${shown}" "${shown}"`), combined!);
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    for (let i = 0; i < 2000; i++) {
      const text = Array.from({ length: random.integer(1, 20) }, () =>
        String.fromCharCode(random.integer(0, 255)),
      ).join('');
      const [line] = await logged({}, { cut: text });
      if (!/^[ -~]*$/.test(line!) || JSON.parse(line!).cut !== text) t.fail(JSON.stringify(text));
      const [other] = await logged({ target: `/${text}` }, {}, { format: 'combined' });
      if (!/^[ -~]*$/.test(other!) || other!.match(/"/g)!.length !== 6) t.fail(JSON.stringify(text));
    }
  },
);

t.test('a request that is rejected before any service got it has a record', (t) => {
  for (const [format, expected] of [
    [
      'json',
      '{"time":"2026-11-27T10:33:26.004Z","client":"192.0.2.1","method":"-","host":"-","path":"-","protocol":"-","status":400,"received":0,"sent":0,"duration":0,"cut":"two Hosts"}',
    ],
    ['combined', '192.0.2.1 - - [27/Nov/2026:10:33:26 +0000] "- - -" 400 0 "-" "-"'],
  ] as const) {
    const lines: string[] = [];
    const { rejected } = new AccessLog({ format, sink: { write: (line) => lines.push(line) } });
    rejected(new Rejection(400, 'two Hosts'), contextOf().connection);
    t.strictSame(lines, [expected]);
  }
  t.end();
});

t.test('the time is that of the line', async (t) => {
  for (const [at, json, combined] of [
    [NOW + 1, '2026-11-27T10:33:26.005Z', '27/Nov/2026:10:33:26'],
    [NOW + 996, '2026-11-27T10:33:27.000Z', '27/Nov/2026:10:33:27'],
    [NOW - 4, '2026-11-27T10:33:26.000Z', '27/Nov/2026:10:33:26'],
    [Date.UTC(2027, 0, 1) - 1, '2026-12-31T23:59:59.999Z', '31/Dec/2026:23:59:59'],
    [Date.UTC(2027, 0, 1) + 50, '2027-01-01T00:00:00.050Z', '01/Jan/2027:00:00:00'],
  ] as const) {
    Date.now = () => at;
    t.match((await logged({}))[0], `{"time":"${json}",`);
    t.match((await logged({}, {}, { format: 'combined' }))[0], `[${combined} +0000]`);
  }
});

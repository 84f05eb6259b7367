import { encodePublish, PublishEncoder, statusOf } from 'mproxy-flow/endpoints/nats/encoder';
import { parseInfo } from 'mproxy-flow/endpoints/nats/info';
import { ProtocolError } from 'mproxy-flow/endpoints/nats/protocol-error';
import { Run } from 'mproxy-flow/endpoints/nats/run';
import { subjectError } from 'mproxy-flow/endpoints/nats/subject';
import t from 'tap';
import { cut, parse } from './recorder.js';

const GOOD: [string, string[]][] = [
  ['INFO {"a":1}\r\n', ['INFO {"a":1}']],
  ['PING\r\nPONG\r\n+OK\r\nping\r\n', ['PING', 'PONG', 'PING']],
  ["-ERR 'Stale Connection'\r\n", ['ERR Stale Connection']],
  ["-ERR '\x1b[2Jé'\r\n", ['ERR ?[2J?']],
  ['MSG a.b 7 5\r\nhello\r\n', ['MSG|a.b|7|||hello']],
  ['msg a 7 0\r\n\r\nPING\r\n', ['MSG|a|7|||', 'PING']],
  ['MSG a 7 in.box 5\r\nMSG a\r\n', ['MSG|a|7|in.box||MSG a']],
  ['MSG\ta \t 7  2\r\n\r\n\r\n', ['MSG|a|7|||\r\n']],
  ['HMSG a 7 12 14\r\nNATS/1.0\r\n\r\nhi\r\n', ['MSG|a|7||NATS/1.0\r\n\r\n|hi']],
  ['HMSG a 7 r 12 12\r\nNATS/1.0\r\n\r\n\r\n', ['MSG|a|7|r|NATS/1.0\r\n\r\n|']],
];

const BAD: [string, RegExp][] = [
  ['HELLO\r\n', /unknown operation "HELLO"/],
  ['MSGS a 1 1\r\nx\r\n', /unknown operation "MSGS"/],
  ['HTTP/1.1 400 Bad Request\r\n', /unknown operation "HTTP\/1.1"/],
  ['\r\n', /unknown operation ""/],
  ['PING\n', /does not end with CR LF/],
  ['MSG a 1\r\n', /with 2 arguments/],
  ['MSG a 1 b 1 1\r\nx\r\n', /with 5 arguments/],
  ['HMSG a 1 1\r\nx\r\n', /with 3 arguments/],
  ['MSG a 1 -1\r\n', /"-1" is not a number/],
  ['MSG a 1 1e3\r\n', /"1e3" is not a number/],
  ['MSG a 1 0x1\r\n', /"0x1" is not a number/],
  ['MSG a 1 67108865\r\n', /"67108865" is not a number/],
  [`MSG a 1 ${'9'.repeat(400)}\r\n`, /is not a number/],
  ['MSG a one 1\r\nx\r\n', /"one" is not a number/],
  ['MSG a 1 1\r\nxy\r\n', /longer than its size/],
  ['MSG a 1 1\r\nx\n\n', /longer than its size/],
  ['HMSG a 1 13 12\r\nNATS/1.0\r\n\r\n\r\n', /headers of 13 bytes in a message of 12/],
  [`INFO ${'x'.repeat(65_536)}\r\n`, /a line of more than 65536 bytes/],
  ['M'.repeat(65_537), /a line of more than 65536 bytes/],
];

t.test('what a server may send, whole and in pieces of every size', (t) => {
  for (const [text, expected] of GOOD) {
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size++) {
      const { events, error, recorder } = parse(cut(bytes, size));
      t.equal(error, undefined);
      t.strictSame(events, expected, `${JSON.stringify(text)} in pieces of ${size}`);
      t.equal(recorder.overwritten, 0);
    }
  }
  t.end();
});

t.test('what no server may send is an error, whole and byte by byte', (t) => {
  for (const [text, expected] of BAD) {
    const bytes = Buffer.from(text);
    for (const size of [bytes.length, 1]) {
      const { error } = parse(cut(bytes, size));
      t.type(error, ProtocolError, `${JSON.stringify(text.slice(0, 40))} in pieces of ${size}`);
      t.match(error?.message, expected);
      t.ok((error?.message.length ?? 0) < 100, 'a short message');
    }
  }
  t.end();
});

t.test('an error ends the burst of the messages before it', (t) => {
  const good = 'MSG a 1 2\r\nhi\r\n';
  for (const [text] of BAD) {
    const bytes = Buffer.from(good + text);
    for (const size of [bytes.length, 20, 1]) {
      const { events, error, recorder } = parse(cut(bytes, size));
      t.type(error, ProtocolError);
      t.strictSame(events, ['MSG|a|1|||hi'], `${JSON.stringify(text.slice(0, 40))} in pieces of ${size}`);
      t.equal(recorder.lent, 0);
    }
  }
  t.end();
});

t.test('a message that lies whole in a chunk is passed on in place', (t) => {
  const message = `MSG a 1 1400\r\n${'x'.repeat(1400)}\r\n`;
  const { events, recorder } = parse([Buffer.from(message.repeat(40))]);
  t.equal(events.length, 40);
  t.equal(recorder.slabs.size, 1);
  t.end();
});

t.test(
  'endless input without a line end is refused soon, and a dribble of bytes costs no more than a block',
  (t) => {
    const bytes = Buffer.alloc(60_000, 'x');
    const start = process.cpuUsage();
    const { error, events } = parse([
      ...cut(Buffer.from('MSG a 1 60000\r\n'), 1),
      ...cut(bytes, 1),
      Buffer.from('\r\n'),
    ]);
    t.equal(error, undefined);
    t.equal(events.length, 1);
    const info = parse(cut(Buffer.from(`INFO ${'x'.repeat(65_000)}\r\n`), 1));
    t.equal(info.events.length, 1);
    t.ok(process.cpuUsage(start).user < 2_000_000, 'no search begins again');
    t.end();
  },
);

t.test('publishing: the lines, and what comes back from a server', (t) => {
  const encoder = new PublishEncoder('a.b');
  const into = Buffer.alloc(400_000);
  const slab = Buffer.alloc(300_000, 'abcdefghijk');
  for (const sizes of [
    ...[0, 1, 9, 10, 99, 100, 1400, 1400, 65_507, 123_456, 7].map((size) => [size]),
    ...[
      [3, 3, 3],
      [1, 9, 10, 0, 100],
      [0, 0],
      [999, 1000, 1, 1000],
      [1400, 1400, 1399],
    ],
  ]) {
    const run = new Run();
    let expected = '';
    let end = 5;
    for (const size of sizes) {
      t.ok(run.add(slab, end, size));
      expected += `PUB a.b ${size}\r\n${slab.toString('latin1', end, end + size)}\r\n`;
      end += size;
    }
    const space = encoder.space(run);
    t.equal(space, expected.length);
    t.equal(encoder.encode(into, 3, run, space), 3 + expected.length, String(sizes));
    t.ok(into.toString('latin1', 3, 3 + expected.length) === expected, String(sizes));
  }
  t.equal(String(encodePublish('a', Buffer.from('hi'))), 'PUB a 2\r\nhi\r\n');
  t.equal(String(encodePublish('a', Buffer.from('hi'), { reply: 'r' })), 'PUB a r 2\r\nhi\r\n');
  const headers = { 'Nats-Msg-Id': '7', B: 'x' };
  t.equal(
    String(encodePublish('a', Buffer.from('hi'), { reply: 'r', headers })),
    'HPUB a r 34 36\r\nNATS/1.0\r\nNats-Msg-Id: 7\r\nB: x\r\n\r\nhi\r\n',
  );
  t.strictSame(statusOf('NATS/1.0 503\r\n\r\n'), { code: 503, text: '' });
  t.strictSame(statusOf('NATS/1.0 100 Idle Heartbeat\r\nA: b\r\n\r\n'), {
    code: 100,
    text: 'Idle Heartbeat',
  });
  t.equal(statusOf('NATS/1.0\r\nA: 503\r\n\r\n'), undefined);
  t.end();
});

t.test('a run has contiguous datagrams of one slab, and is limited', (t) => {
  const slab = Buffer.alloc(200_000);
  const run = new Run();
  t.ok(run.add(slab, 10, 100_000), 'the first may be of any size');
  t.notOk(run.add(slab, 100_010, 1));
  run.clear();
  t.ok(run.add(slab, 10, 5));
  t.notOk(run.add(slab, 16, 5), 'a gap');
  t.notOk(run.add(Buffer.alloc(100), 15, 5), 'another slab');
  t.ok(run.add(slab, 15, 0));
  t.ok(run.add(slab, 15, 7));
  t.strictSame([run.offset, run.bytes, run.count, [...run.sizes.subarray(0, 3)]], [10, 12, 3, [5, 0, 7]]);
  run.clear();
  let count = 0;
  while (run.add(slab, count, 1)) count++;
  t.equal(count, 1024);
  t.end();
});

t.test('INFO: what is used of it, and what is wrong', (t) => {
  const info = parseInfo(
    '{"server_id":"i","cluster":"c","server_name":"n","version":"2.9.10","max_payload":1024,"tls_required":true,"nonce":"abc","ldm":true,' +
      '"connect_urls":["10.0.0.1:4222","[2001:db8::1]:1","Host.example:65535","x","h:0","h:65536",7,"a b:1"]}',
  );
  t.strictSame(info, {
    id: 'i',
    cluster: 'c',
    name: 'n',
    version: '2.9.10',
    maxPayload: 1024,
    tlsRequired: true,
    tlsAvailable: false,
    headers: false,
    nonce: 'abc',
    urls: [
      { host: '10.0.0.1', port: 4222 },
      { host: '2001:db8::1', port: 1 },
      { host: 'host.example', port: 65_535 },
    ],
    lameDuck: true,
  });
  t.equal(parseInfo('{}').maxPayload, 1_048_576);
  const many = JSON.stringify({ connect_urls: Array.from({ length: 5000 }, (_, i) => `h${i}:1`) });
  t.equal(parseInfo(many).urls.length, 256);
  for (const json of ['', '{', '[]', 'null', '7', '"x"', `${'['.repeat(60_000)}`])
    t.throws(() => parseInfo(json), /INFO that is not JSON|INFO that is not a JSON object/);
  for (const size of [0, -1, 1.5, '"1"', 'null', 1e300])
    t.throws(() => parseInfo(`{"max_payload":${size}}`), /max_payload/);
  t.end();
});

t.test('subjects', (t) => {
  for (const subject of ['a', 'a.b.c', '$JS.API', 'grün', 'a-b_c', 'x'.repeat(1024)])
    t.equal(subjectError(subject, false), undefined, subject);
  for (const subject of ['*', '>', 'a.*', 'a.*.c', 'a.>', '*.>']) {
    t.equal(subjectError(subject, true), undefined, subject);
    t.match(subjectError(subject, false), /wildcard/, subject);
  }
  for (const subject of [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a b',
    'a\tb',
    'a\r\nPUB b 0',
    'a\0',
    'a*',
    '>.a',
    'x'.repeat(1025),
  ])
    t.type(subjectError(subject, true), 'string', JSON.stringify(subject));
  t.end();
});

import { parseResponseHead, type Rejection, type ResponseHead, ResponseParser } from 'mproxy-http';
import t from 'tap';
import { changedByCuts, SCANNERS, whole } from './exchange.js';

const OK = 'HTTP/1.1 200 OK\r\n';

/** Name, bytes, the reason of the 502 or some of the head, and the method of the request. */
type Row = [
  name: string,
  head: string,
  expected: string | Partial<Record<keyof ResponseHead, unknown>>,
  method?: string,
];

function run(title: string, rows: Row[]): void {
  t.test(title, (t) => {
    for (const [name, scanner] of SCANNERS) {
      for (const [what, text, expected, method = 'GET'] of rows) {
        const bytes = Buffer.from(text, 'latin1');
        const head = new ResponseParser({ scanner }).parse(bytes, 0, bytes.length, method);
        if (typeof expected === 'string') {
          const { status, reason } = (head ?? {}) as Rejection;
          t.strictSame([status, reason], [502, expected], `${name}: ${what}`);
        } else t.match(head && plain(head as ResponseHead), expected, `${name}: ${what}`);
        const side = { kind: 'response', scanner, methods: [method] } as const;
        t.equal(changedByCuts(side, bytes, whole(side, bytes)), undefined, `${name}: ${what}, in pieces`);
      }
    }
    t.end();
  });
}

function plain(head: ResponseHead | Rejection): object {
  return 'fields' in head ? { ...head, fields: [...head.fields] } : head;
}

const STATUS = 'invalid status line';

run('status lines', [
  ['a version, a status, a reason', `${OK}\r\n`, { status: 200, reason: 'OK', version: '1.1' }],
  ['HTTP/1.0', 'HTTP/1.0 404 Not Found\r\n\r\n', { status: 404, reason: 'Not Found', version: '1.0' }],
  ['a reason of one’s own', 'HTTP/1.1 200 Fine \xe9\t!\r\n\r\n', { reason: 'Fine \xe9\t!' }],
  ['an empty reason', 'HTTP/1.1 200 \r\n\r\n', { reason: '' }],
  ['no reason and no space', 'HTTP/1.1 200\r\n\r\n', { reason: '', status: 200 }],
  ['a status without a reason', 'HTTP/1.1 599 \r\n\r\n', { status: 599, reason: '' }],
  ['a later HTTP/1', 'HTTP/1.9 200 OK\r\n\r\n', { version: '1.1' }],
  ['an empty line before it', `\r\n${OK}\r\n`, 'no HTTP response'],
  ['another protocol', 'SSH-2.0-x\r\n\r\n', 'no HTTP response'],
  ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n', STATUS],
  ['HTTP/0.9', 'HTTP/0.9 200 OK\r\n\r\n', STATUS],
  ['a version of more digits', 'HTTP/1.10 200 OK\r\n\r\n', STATUS],
  ['two digits', 'HTTP/1.1 20 OK\r\n\r\n', STATUS],
  ['four digits', 'HTTP/1.1 2000 OK\r\n\r\n', STATUS],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n', STATUS],
  ['a status above 599', 'HTTP/1.1 600 OK\r\n\r\n', STATUS],
  ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n', STATUS],
  ['a tab before the reason', 'HTTP/1.1 200\tOK\r\n\r\n', STATUS],
  ['a control character in the reason', 'HTTP/1.1 200 O\x01K\r\n\r\n', STATUS],
  ['a CR in the reason', 'HTTP/1.1 200 O\rK\r\n\r\n', STATUS],
  ['an LF without CR', 'HTTP/1.1 200 OK\n\r\n', STATUS],
  ['an LF alone behind the status', 'HTTP/1.1 200\n\r\n', STATUS],
]);

run('field lines', [
  [
    'are those of requests',
    `${OK}A: \t b\t\r\nB:\r\n\r\n`,
    {
      fields: [
        ['a', 'b'],
        ['b', ''],
      ],
    },
  ],
  [
    'a space before the colon is removed',
    `${OK}A : b\r\nC\t \t:d \r\nE: f\r\n\r\n`,
    {
      fields: [
        ['a', 'b'],
        ['c', 'd'],
        ['e', 'f'],
      ],
    },
  ],
  [
    'and does not hide a length',
    `${OK}Content-Length : 5\r\n\r\n`,
    { contentLength: 5, closeDelimited: false, fields: [] },
  ],
  [
    'and does not hide a second one',
    `${OK}Content-Length : 5\r\nContent-Length: 5\r\n\r\n`,
    'more than one Content-Length',
  ],
  ['a space within a name', `${OK}A B: c\r\n\r\n`, 'invalid field name'],
  ['a space before a name', `${OK} A: b\r\n\r\n`, 'folded field line'],
  ['a space before the colon and no name', `${OK} : b\r\n\r\n`, 'folded field line'],
  ['a space before the colon, but a wrong value', `${OK}A : b\x01\r\n\r\n`, 'invalid field name'],
  ['a folded line', `${OK}A: b\r\n c\r\n\r\n`, 'folded field line'],
  ['NUL in a value', `${OK}A: b\0\r\n\r\n`, 'invalid field value'],
  ['an LF without CR', `${OK}A: b\n\r\n`, 'field line without CRLF'],
  [
    'hop-by-hop fields are removed',
    `${OK}Connection: a, close\r\nA: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: b\r\nB: 2\r\n\r\n`,
    { fields: [['b', '2']] },
  ],
  [
    'Connection that names Content-Length',
    `${OK}Connection: content-length\r\n\r\n`,
    'Connection names Host or Content-Length',
  ],
]);

run('framing', [
  [
    'a length',
    `${OK}Content-Length: 7\r\n\r\n`,
    { contentLength: 7, chunked: false, closeDelimited: false, keepAlive: true, fields: [] },
  ],
  [
    'chunked',
    `${OK}Transfer-Encoding: chunked\r\n\r\n`,
    { contentLength: undefined, chunked: true, closeDelimited: false, keepAlive: true },
  ],
  [
    'neither',
    `${OK}\r\n`,
    { contentLength: undefined, chunked: false, closeDelimited: true, keepAlive: false },
  ],
  [
    'HEAD with a length',
    `${OK}Content-Length: 7\r\n\r\n`,
    { contentLength: 0, fields: [['content-length', '7']], keepAlive: true },
    'HEAD',
  ],
  [
    'HEAD, chunked',
    `${OK}Transfer-Encoding: chunked\r\n\r\n`,
    { contentLength: 0, chunked: false, fields: [], keepAlive: true },
    'HEAD',
  ],
  ['HEAD with neither', `${OK}\r\n`, { contentLength: 0, closeDelimited: false, keepAlive: true }, 'HEAD'],
  [
    '304 with a length',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n',
    { contentLength: 0, fields: [['content-length', '7']], keepAlive: true },
  ],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', { contentLength: 0, closeDelimited: false, keepAlive: true }],
  [
    '204 with a length of 0',
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    { contentLength: 0, keepAlive: true, fields: [] },
  ],
  [
    '204 with a length: its server may send a body',
    'HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n',
    { contentLength: 0, keepAlive: false },
  ],
  [
    '204, chunked',
    'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n',
    { contentLength: 0, chunked: false, keepAlive: false },
  ],
  ['100', 'HTTP/1.1 100 Continue\r\n\r\n', { status: 100, contentLength: 0, keepAlive: true }],
  [
    'an interim response with a length',
    'HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\n',
    'interim response with a body',
  ],
  [
    'a chunked interim response',
    'HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n',
    'interim response with a body',
  ],
  [
    '101',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    { contentLength: 0, upgrade: 'websocket' },
  ],
  [
    'an offer to upgrade',
    `${OK}Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n`,
    { upgrade: undefined },
  ],
  ['a tunnel', `${OK}\r\n`, { contentLength: 0, closeDelimited: false }, 'CONNECT'],
  ['no tunnel', 'HTTP/1.1 407 x\r\nContent-Length: 3\r\n\r\n', { contentLength: 3 }, 'CONNECT'],
  ['HTTP/1.0 closes', 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n', { contentLength: 3, keepAlive: false }],
  [
    'HTTP/1.0 that stays',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n',
    { keepAlive: true },
  ],
  ['close', `${OK}Connection: close\r\nContent-Length: 3\r\n\r\n`, { keepAlive: false }],
  ['Keep-Alive', `${OK}Keep-Alive: max=3, Timeout=15\r\nContent-Length: 3\r\n\r\n`, { keepAliveTimeout: 15 }],
  [
    'Keep-Alive without a time',
    `${OK}Keep-Alive: xtimeout=15\r\nContent-Length: 3\r\n\r\n`,
    { keepAliveTimeout: undefined },
  ],
  [
    'chunked in HTTP/1.0',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    'Transfer-Encoding in HTTP/1.0',
  ],
  [
    'both',
    `${OK}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n`,
    'Content-Length and Transfer-Encoding',
  ],
  ['two lengths', `${OK}Content-Length: 3\r\nContent-Length: 3\r\n\r\n`, 'more than one Content-Length'],
  ['a list of lengths', `${OK}Content-Length: 3, 3\r\n\r\n`, 'invalid Content-Length'],
  ['a coding before chunked', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`, 'unsupported transfer coding'],
  ['identity', `${OK}Transfer-Encoding: identity\r\n\r\n`, 'invalid Transfer-Encoding'],
]);

t.test('limits', (t) => {
  const parse = (text: string) => parseResponseHead(Buffer.from(text), 0, text.length, 'GET') as Rejection;
  t.match(parse(`HTTP/1.1 200 ${'a'.repeat(8192)}`), { status: 502, reason: 'status line too long' });
  t.match(parse(`${OK}A: ${'a'.repeat(32_768)}\r\n\r\n`), { status: 502, reason: 'header section too long' });
  t.match(parse(`${OK}${'A: b\r\n'.repeat(101)}\r\n`), { status: 502, reason: 'too many fields' });
  t.equal(parse(`${OK}${'A: b\r\n'.repeat(100)}\r\n`).status, 200);
  t.end();
});

t.test('one response after the other', (t) => {
  const text = `HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 2\r\n\r\nokHTTP/1.1 204 No Content\r\n\r\n`;
  for (const [, scanner] of SCANNERS) {
    const side = { kind: 'response', scanner } as const;
    const events = whole(side, Buffer.from(text));
    t.match(events, [
      /"status":100/,
      'body: ',
      /"status":200/,
      'body: ok',
      /"status":204/,
      'body: ',
      'waits for a head',
    ]);
    t.equal(changedByCuts(side, Buffer.from(text), events), undefined);
  }
  t.end();
});

t.test('a 204 has no Content-Length, as an answer to HEAD either', (t) => {
  const bytes = Buffer.from('HTTP/1.1 204 No Content\r\nContent-Length: 3\r\nA: b\r\n\r\n', 'latin1');
  const head = parseResponseHead(bytes, 0, bytes.length, 'HEAD') as ResponseHead;
  t.strictSame([...head.fields], [['a', 'b']]);
  t.end();
});

t.test('status lines that come in the same memory, one after the other, are told apart', (t) => {
  const parser = new ResponseParser();
  const memory = Buffer.alloc(200);
  const lines = [
    '1.1 404 Not Found',
    '1.1 403 Forbidden',
    '1.0 404 Not Found',
    '1.1 200 Is Odd!!!',
    '1.1 401 Not Found',
  ];
  for (const line of [...lines, ...lines]) {
    const length = memory.write(`HTTP/${line}\r\nContent-Length: 0\r\n\r\n`);
    const head = parser.parse(memory, 0, length, 'GET') as ResponseHead;
    t.equal(`${head.version} ${head.status} ${head.reason}`, line);
  }
  t.end();
});

import {
  Fields,
  FORWARDING,
  maskOf,
  parseRequestHead,
  parseResponseHead,
  type RequestHead,
  type ResponseHead,
} from 'mproxy-http';
import t from 'tap';
import { Random } from '../support/random.js';

/** The fields of a request with these lines. */
function parsed(lines: string, before = ''): Fields {
  const bytes = Buffer.from(`${before}GET / HTTP/1.1\r\nHost: h\r\n${lines}\r\n`, 'latin1');
  return (parseRequestHead(bytes, before.length, bytes.length) as RequestHead).fields;
}

function written(fields: Fields): string {
  const target = Buffer.alloc(fields.size + 7, '!');
  const end = fields.write(target, 3);
  if (end - 3 !== fields.size) throw new Error(`${end - 3} bytes, but a size of ${fields.size}`);
  return target.toString('latin1', 3, end);
}

const LINES = 'Accept: a\r\nCookie: b=1\r\naccept: \tc \r\nX-Empty:\r\nCookie: d=2\r\n';
const PAIRS: [string, string][] = [
  ['accept', 'a'],
  ['cookie', 'b=1'],
  ['accept', 'c'],
  ['x-empty', ''],
  ['cookie', 'd=2'],
];

t.test('what is read from bytes, and from a record, is the same', (t) => {
  for (const fields of [parsed(LINES), parsed(LINES, 'x'.repeat(50)), Fields.of(PAIRS)]) {
    t.strictSame([...fields], PAIRS);
    t.equal(fields.get('accept'), 'a, c', 'a list');
    t.equal(fields.get('ACCEPT'), 'a, c', 'in any case');
    t.equal(fields.get('cookie'), 'b=1; d=2', 'cookies');
    t.equal(fields.get('x-empty'), '', 'empty');
    t.equal(fields.get('x-emptyy'), undefined);
    t.equal(fields.get('expect'), undefined);
    t.strictSame(fields.values('accept'), ['a', 'c']);
    t.strictSame(fields.values('none'), []);
    t.strictSame([fields.has('cookie'), fields.has('x-empty'), fields.has('via')], [true, true, false]);
  }
  t.strictSame(
    [...Fields.of({ A: '1', 'x-b': '2' })],
    [
      ['a', '1'],
      ['x-b', '2'],
    ],
  );
  t.end();
});

t.test('lines are written as they came, and in order', (t) => {
  t.equal(written(parsed(LINES)), 'Accept: a\r\nCookie: b=1\r\naccept: \tc\r\nX-Empty:\r\nCookie: d=2\r\n');
  t.equal(written(Fields.of(PAIRS)), 'accept: a\r\ncookie: b=1\r\naccept: c\r\nx-empty: \r\ncookie: d=2\r\n');
  t.equal(written(parsed('A:b\r\nConnection: x\r\nX: 1\r\nC: \xe9\xff\r\n')), 'A:b\r\nC: \xe9\xff\r\n');
  t.equal(written(new Fields()), '');
  const long = 'v'.repeat(200);
  t.equal(written(Fields.of({ a: long, b: '\xe9' })), `a: ${long}\r\nb: \xe9\r\n`);
  t.end();
});

t.test('set, append and delete', (t) => {
  for (const fields of [parsed(LINES), Fields.of(PAIRS)]) {
    fields.set('Accept', 'z');
    t.strictSame(
      [...fields],
      [
        ['accept', 'z'],
        ['cookie', 'b=1'],
        ['x-empty', ''],
        ['cookie', 'd=2'],
      ],
      'in the place of the first',
    );
    fields.set('new', '1');
    fields.append('new', '2');
    fields.append('Via', '1.1 a');
    t.equal(fields.get('new'), '1, 2');
    t.equal(fields.get('via'), '1.1 a');
    fields.delete('COOKIE');
    fields.delete('none');
    t.strictSame(
      [...fields],
      [
        ['accept', 'z'],
        ['x-empty', ''],
        ['new', '1'],
        ['new', '2'],
        ['via', '1.1 a'],
      ],
    );
    t.match(written(fields), /^accept: z\r\nx-empty: ?\r\nnew: 1\r\nnew: 2\r\nvia: 1.1 a\r\n$/i);
  }
  t.end();
});

t.test('no line is split by a value or a name', (t) => {
  const fields = new Fields();
  const values = [
    'a\r\nb: c',
    'a\nb',
    'a\rb',
    'a\0',
    '\x7f',
    '\x1f',
    ' a',
    'a ',
    'a\t',
    'ā',
    '\u2028',
    '\ud83d\ude00',
  ];
  for (const value of values) {
    t.throws(() => fields.set('a', value), RangeError, Buffer.from(value).toString('hex'));
    t.throws(() => fields.append('a', value), RangeError);
    t.throws(() => Fields.of({ a: value }), RangeError);
  }
  for (const name of ['', 'a b', 'a:', 'a\r\n', '\xe9', 'a\0', '(a)', 'ſ'])
    t.throws(() => fields.set(name, 'b'), {
      name: 'RangeError',
      message: `invalid field name ${JSON.stringify(name)}`,
    });
  t.throws(() => fields.set('x-a', 'b\n'), { message: 'invalid value of field x-a: "b\\n"' });
  t.strictSame([...fields], []);
  t.end();
});

t.test('lines that are appended whole', (t) => {
  const lines = Buffer.from('X-A: 1\r\nVia:1.1 \xa0b \r\n', 'latin1');
  const fields = parsed('Accept: a\r\n');
  fields.appendLines(lines);
  fields.append('x-c', '3');
  t.equal(written(fields), 'Accept: a\r\nX-A: 1\r\nVia:1.1 \xa0b \r\nx-c: 3\r\n', 'as they are');
  t.notOk(fields.has('x') || fields.has('date') || fields.has('x-aa'));
  t.match(written(fields), /Via:1/, 'stay as they are while others are looked for');
  t.equal(fields.get('x-a'), '1', 'are found');
  t.equal(fields.get('via'), '1.1 \xa0b');
  t.strictSame(
    [...fields],
    [
      ['accept', 'a'],
      ['x-a', '1'],
      ['via', '1.1 \xa0b'],
      ['x-c', '3'],
    ],
  );
  t.equal(written(fields), 'Accept: a\r\nx-a: 1\r\nvia: 1.1 \xa0b\r\nx-c: 3\r\n');
  t.throws(() => fields.appendLines(Buffer.from('A: b')), RangeError);
  fields.appendLines(Buffer.alloc(0));
  const other = parsed('Accept: a\r\n');
  other.appendLines(lines);
  other.delete('x-a');
  t.strictSame(
    [...other],
    [
      ['accept', 'a'],
      ['via', '1.1 \xa0b'],
    ],
  );
  t.end();
});

t.test('fields outlive their bytes when they are kept', (t) => {
  for (const before of [0, 10, 1000]) {
    const bytes = Buffer.from(`${'x'.repeat(before)}GET / HTTP/1.1\r\nHost: h\r\n${LINES}\r\n`);
    const { fields } = parseRequestHead(bytes, before, bytes.length) as RequestHead;
    fields.append('own', '1');
    fields.keep();
    bytes.fill('!');
    t.strictSame([...fields], [...PAIRS, ['own', '1']]);
    fields.keep();
    t.strictSame([...fields], [...PAIRS, ['own', '1']], 'twice');
  }
  const empty = new Fields();
  empty.keep();
  t.strictSame([...empty], []);
  t.end();
});

t.test('known names are found and removed without strings, in either spelling', (t) => {
  const lines =
    'X_Forwarded-For: 1\r\nX-Forwarded-For: 2\r\nX-FORWARDED_Foo: 3\r\nForwarded: 4\r\nx_real_ip: 5\r\nA_B: 6\r\n';
  const fields = parsed(lines);
  t.ok(fields.known & maskOf('x-forwarded-for'));
  t.notOk(fields.known & maskOf('date'));
  t.equal(fields.get('x-forwarded-for'), '2', 'a misspelt name is another one');
  t.equal(fields.get('x_forwarded-for'), '1');
  t.equal(fields.get('x-forwarded_foo'), '3');
  fields.deleteKnown(FORWARDING);
  t.strictSame([...fields], [['a_b', '6']]);
  t.notOk(fields.known & FORWARDING);
  fields.append('A-B', '7');
  fields.deleteSpellings('a-b');
  t.strictSame([...fields], []);
  const only = parsed('X_Forwarded_For: 1\r\n');
  t.ok(only.known & maskOf('x-forwarded-for'), 'the bit is set for it too');
  t.notOk(only.has('x-forwarded-for'));
  only.append('x-forwarded-for', '2');
  t.equal(only.get('x-forwarded-for'), '2');
  t.end();
});

t.test('a response keeps the order of lines that are spelt anew', (t) => {
  const bytes = Buffer.from('HTTP/1.1 200 OK\r\nA: 1\r\nSet-Cookie : b\r\nSet-Cookie: c\r\n\r\n');
  const { fields } = parseResponseHead(bytes, 0, bytes.length, 'GET') as ResponseHead;
  t.equal(written(fields), 'A: 1\r\nset-cookie: b\r\nSet-Cookie: c\r\n');
  t.strictSame(fields.values('set-cookie'), ['b', 'c']);
  t.end();
});

t.test('any order of changes, against a list', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const wrong: string[] = [];
  const names = ['via', 'cookie', 'x-a', 'x-b', 'x-forwarded-for', 'x-forwarded-z', 'date'];
  for (let round = 0; round < 2000; round++) {
    const pairs = Array.from({ length: random.integer(0, 6) }, (): [string, string] => [
      random.pick(names),
      random.pick(['1', '22', '']),
    ]);
    const fields = parsed(
      pairs
        .map(
          ([name, value]) =>
            `${random.pick([name, name.toUpperCase()])}:${value}${random.pick(['', ' '])}\r\n`,
        )
        .join(''),
    );
    let list = pairs;
    for (let step = 0; step < 6; step++) list = change(random, random.pick(names), fields, list);
    const lines = written(fields).toLowerCase().replaceAll(': ', ':');
    const good =
      JSON.stringify([...fields]) === JSON.stringify(list) &&
      names.every((name) => JSON.stringify(fields.values(name)) === JSON.stringify(valuesOf(list, name))) &&
      lines === list.map(([name, value]) => `${name}:${value}\r\n`).join('');
    if (!good)
      wrong.push(`round ${round}: ${JSON.stringify([...fields])}, ${JSON.stringify(list)}, ${lines}`);
  }
  t.strictSame(wrong, []);
  t.end();
});

function valuesOf(list: [string, string][], name: string): string[] {
  return list.filter((pair) => pair[0] === name).map((pair) => pair[1]);
}

function change(random: Random, name: string, fields: Fields, list: [string, string][]): [string, string][] {
  const others = list.filter((pair) => pair[0] !== name);
  switch (random.integer(0, 4)) {
    case 0:
      fields.append(name, 'x');
      return [...list, [name, 'x']];
    case 1:
      fields.delete(name);
      return others;
    case 2: {
      fields.set(name, 'y');
      const first = list.findIndex((pair) => pair[0] === name);
      if (first < 0) return [...list, [name, 'y']];
      return list.flatMap((pair, at) =>
        at === first ? [[name, 'y'] as [string, string]] : pair[0] === name ? [] : [pair],
      );
    }
    case 3:
      fields.appendLines(Buffer.from(`${name}: z\r\n`));
      return [...list, [name, 'z']];
    default:
      fields.keep();
      return list;
  }
}

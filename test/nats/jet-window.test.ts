import { AckReader } from 'mproxy-flow/endpoints/nats/jet-ack';
import { Delivery } from 'mproxy-flow/endpoints/nats/jet-delivery';
import { JetEncoder } from 'mproxy-flow/endpoints/nats/jet-encoder';
import { JetWindow } from 'mproxy-flow/endpoints/nats/jet-window';
import { type Message, Parser } from 'mproxy-flow/endpoints/nats/protocol';
import { matches } from 'mproxy-flow/endpoints/nats/subject';
import t from 'tap';

/** A message as a server sends it. */
function message(line: string, payload: string, headers = ''): Message {
  let seen: Message | undefined;
  const none = () => undefined;
  const others = { onInfo: none, onBurstEnd: none, onPing: none, onPong: none, onError: none };
  const parser = new Parser({ ...others, onMessage: (one) => (seen = one) });
  const sizes = headers ? `${headers.length} ${headers.length + payload.length}` : payload.length;
  parser.push(Buffer.from(`${headers ? 'HMSG' : 'MSG'} ${line} ${sizes}\r\n${headers}${payload}\r\n`));
  return seen!;
}

/** The payloads and numbers in encoded messages. */
function decode(bytes: Buffer | undefined): string[] {
  const text = bytes?.toString('latin1') ?? '';
  const found = [...text.matchAll(/HPUB a (\S+)\.(\d+) (\d+) (\d+)\r\n/g)];
  return found.map(({ 0: line, 2: number, 3: headers, 4: size, index }) => {
    const at = index + line.length;
    const isNamed = text.slice(at, at + Number(headers)).endsWith(`-${number}\r\n\r\n`);
    return `${isNamed ? Number(number) : 'no identity'}:${text.slice(at + Number(headers), at + Number(size))}`;
  });
}

function windowOf(
  size: number,
  count: number,
  payload = (i: number) => `m${i}`,
  onTooLong: () => void = () => undefined,
): JetWindow {
  const window = new JetWindow(new JetEncoder('a', 'S'), size, onTooLong);
  for (let i = 1; i <= count; i++) window.add(Buffer.from(payload(i)), 0, payload(i).length);
  return window;
}

t.test('a window is sent, then as many as were acknowledged', async (t) => {
  const window = windowOf(3, 5);
  t.strictSame(decode(window.take()), ['1:m1', '2:m2', '3:m3']);
  t.equal(window.take(), undefined);
  t.equal(window.done(2), true);
  t.equal(window.take(), undefined);
  t.equal(window.done(1), true);
  t.strictSame(decode(window.take()), ['4:m4', '5:m5']);
  t.strictSame([window.count, window.outstanding, window.unsent], [3, 3, 0]);
  for (const number of [0, 1, 6, Number.NaN]) t.equal(window.done(number), false);
});

t.test('after a rewind what is acknowledged is not sent again', async (t) => {
  const window = windowOf(10, 7);
  decode(window.take());
  for (const number of [1, 3, 6]) window.done(number);
  t.equal(window.rewind(), 6);
  t.strictSame(decode(window.take()), ['2:m2']);
  t.strictSame(decode(window.take()), ['4:m4', '5:m5']);
  t.strictSame(decode(window.take()), ['7:m7']);
  t.equal(window.take(), undefined);
  t.equal(window.resent, 4);
});

t.test(
  'messages that are too long for a server: dropped when their turn comes, sent before or not',
  async (t) => {
    let dropped = 0;
    const payload = (i: number) => `m${i}`.padEnd(i === 2 || i === 6 ? 5 : 2);
    const window = windowOf(3, 7, payload, () => dropped++);
    t.strictSame(decode(window.take()), ['1:m1', '2:m2   ', '3:m3']);
    window.done(3);
    window.longest = 4;
    window.rewind();
    t.strictSame(decode(window.take()), ['1:m1']);
    t.equal(window.take(), undefined);
    t.strictSame([dropped, window.count], [1, 7], 'the acknowledged one behind it waits for the first');
    window.done(1);
    t.strictSame(decode(window.take()), ['4:m4', '5:m5']);
    t.equal(window.take(), undefined);
    for (const number of [4, 5]) window.done(number);
    t.strictSame(decode(window.take()), ['7:m7']);
    window.done(7);
    t.strictSame([dropped, window.count, window.outstanding], [2, 0, 0]);
  },
);

t.test('slowed down: one message until it is acknowledged, then one more with each', async (t) => {
  const window = windowOf(4, 9);
  window.take();
  window.done(3);
  window.slowDown();
  window.rewind();
  const sent: string[][] = [];
  for (const number of [1, 2, 4, 5, 6]) {
    for (let bytes = window.take(); bytes; bytes = window.take()) sent.push(decode(bytes));
    t.equal(window.done(number), true, `${number} was sent`);
  }
  t.strictSame(sent, [['1:m1'], ['2:m2'], ['4:m4', '5:m5', '6:m6'], ['7:m7', '8:m8'], ['9:m9']]);
});

t.test('memory is released when messages are acknowledged', async (t) => {
  const window = windowOf(5000, 3000, (i) => `${i}${'x'.repeat(i % 2 ? 10 : 1000)}`);
  const before = window.bytes;
  t.ok(before > 1_500_000);
  let sent = 0;
  for (let bytes = window.take(); bytes; bytes = window.take()) sent += decode(bytes).length;
  t.equal(sent, 3000);
  for (let i = 1; i <= 1500; i++) window.done(i);
  window.trim();
  t.ok(window.bytes < before * 0.6);
  for (let i = 1501; i <= 3000; i++) window.done(i);
  window.trim();
  t.strictSame([window.bytes, window.count], [0, 0]);
});

t.test('a message larger than a block', async (t) => {
  const window = windowOf(5, 2, (i) => String(i).repeat(300_000));
  t.strictSame(
    [...decode(window.take()), ...decode(window.take())].map(({ length }) => length),
    [300_002, 300_002],
  );
});

t.test('acknowledgements', async (t) => {
  const acks = new AckReader('S', 'in.');
  const read = (payload: string, headers = '') => acks.read(message('in.box 1', payload, headers));
  t.equal(read('{"stream":"S", "seq":12}'), 'stored');
  t.equal(read('{"stream":"S", "seq":12,"duplicate": true}'), 'duplicate');
  t.equal(read('{"stream":"S","seq":12,"domain":"d"}'), 'stored');
  t.strictSame(read('{"stream":"T","seq":12}'), { never: 'stream T stored it' });
  t.match(read('{"error":{"code":503,"err_code":10077,"description":"full\\u0007"}}'), {
    later: /full\? \(10077\)/,
  });
  const refusal = (code: number) => read(`{"error":{"code":400,"err_code":${code},"description":"no"}}`);
  // Of the message itself: its size. Limits of an account and configurations change.
  for (const code of [10054, 10097]) t.match(refusal(code), { never: /no/ });
  for (const code of [10002, 10060]) t.match(refusal(code), { later: /no/ });
  t.match(read('', 'NATS/1.0 503\r\n\r\n'), { later: 'no stream stores the subject, or it has no leader' });
  t.match(read('{"stream":'), { later: /not a JSON object/ });
  t.match(read('[]'), { never: 'stream without a name stored it' });
  const number = (subject: string) => acks.number(message(`${subject} 1`, ''));
  t.strictSame([number('in.0017'), number('in.x')], [17, Number.NaN]);
});

t.test('numbers of a delivery, from servers of both forms', async (t) => {
  const delivery = new Delivery();
  const read = (reply: string) => {
    const isRead = delivery.read(message(`a 1 ${reply}`, 'x'));
    return isRead && [delivery.sequence, delivery.number];
  };
  t.strictSame(read('$JS.ACK.S.C.1.17.5.1700000000000000000.3'), [17, 5]);
  t.strictSame(read('$JS.ACK.d.acc.S.C.1.17.5.1700000000000000000.3'), [17, 5]);
  t.strictSame(read('$JS.ACK.d.acc.S.C.1.17.5.1700000000000000000.3.random'), [17, 5]);
  for (const reply of ['in.box', '$JS.ACK.S.C.1.x.5.1.3', '$JS.ACK.S.C.1.0.5.1.3', '$JS.ACK.S'])
    t.equal(read(reply), false);
});

t.test('what the subjects of a stream cover', async (t) => {
  const cases: [pattern: string, subject: string, covers: boolean][] = [
    ['a.*', 'a.*', true],
    ['a.*', 'a.>', false],
    ['a.>', 'a.*.b', true],
    ['>', 'a.>', true],
    ['a.b', 'a.*', false],
  ];
  for (const [pattern, subject, covers] of cases)
    t.equal(matches(pattern, subject), covers, `${pattern} ${subject}`);
});

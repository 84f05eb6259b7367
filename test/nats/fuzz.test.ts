import { ProtocolError } from 'mproxy-flow/endpoints/nats/protocol-error';
import t from 'tap';
import { Random } from '../support/random.js';
import { parse } from './recorder.js';

const ROUNDS = 2000;

t.test('any messages in any pieces come as they were sent', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS / 10; round++) {
    const longest = random.pick([0, 10, 3000, 70_000]);
    const sent = Array.from({ length: random.integer(1, 60) }, () => operation(random, longest));
    const bytes = Buffer.concat(sent.map(({ bytes }) => bytes));
    const { events, error, recorder } = parse(pieces(random, bytes, random.pick([1, 100, 1500, 65_536])));
    const same = events.join('\n') === sent.map(({ event }) => event).join('\n');
    if (same && error === undefined && recorder.overwritten === 0) continue;
    t.fail(`round ${round}, SEED=${random.seed}: ${error ?? 'other events'}`);
    return t.end();
  }
  t.pass(`${ROUNDS / 10} inputs`);
  t.end();
});

t.test('random bytes, and messages with random changes, are parsed or refused, and nothing else', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const whole = Buffer.concat(Array.from({ length: 5 }, () => operation(random, 200).bytes));
    const bytes = random.next() < 0.2 ? random.bytes(random.integer(1, 2000)) : changed(random, whole);
    const { error } = parse(pieces(random, bytes, random.pick([1, 7, 100, 65_536])));
    if (error === undefined || error instanceof ProtocolError) continue;
    t.fail(`round ${round}, SEED=${random.seed}: ${error.stack}`);
    return t.end();
  }
  t.pass(`${ROUNDS} inputs`);
  t.end();
});

/** An operation, and what is reported of it. */
function operation(random: Random, longest: number): { bytes: Buffer; event: string } {
  const payload = random.bytes(Math.min(random.integer(0, longest), 97));
  const body = Buffer.alloc(
    payload.length > 0 ? random.integer(0, longest) : 0,
    payload.length > 0 ? payload : 'x',
  );
  const reply = random.pick(['', 'in.box']);
  const size = body.length;
  const text = body.toString('latin1');
  const headers = 'NATS/1.0\r\nA: b\r\n\r\n';
  return random.pick([
    () => ({ bytes: Buffer.from('PING\r\n'), event: 'PING' }),
    () => ({ bytes: Buffer.from("-ERR 'No'\r\n"), event: 'ERR No' }),
    () => ({
      bytes: Buffer.concat([Buffer.from(`MSG a.b 3 ${reply} ${size}\r\n`), body, Buffer.from('\r\n')]),
      event: `MSG|a.b|3|${reply}||${text}`,
    }),
    () => ({
      bytes: Buffer.concat([
        Buffer.from(`HMSG a 4 ${reply} ${headers.length} ${headers.length + size}\r\n${headers}`),
        ...[body, Buffer.from('\r\n')],
      ]),
      event: `MSG|a|4|${reply}|${headers}|${text}`,
    }),
  ])();
}

function pieces(random: Random, bytes: Buffer, largest: number): Buffer[] {
  const all: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + random.integer(1, largest);
    all.push(bytes.subarray(at, end));
    at = end;
  }
  return all;
}

function changed(random: Random, bytes: Buffer): Buffer {
  const result = Buffer.from(bytes);
  for (let i = random.integer(1, 4); i > 0; i--) {
    const at = random.integer(0, result.length - 1);
    if (random.next() < 0.5) result[at] = random.pick([0x0a, 0x0d, 0x20, 0x39, 0x00, 0xff]);
    else result.copy(result, at, random.integer(0, result.length - 1));
  }
  return result;
}

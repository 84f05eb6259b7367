import {
  END_OF_SESSION,
  HEARTBEAT,
  MESSAGE_HEADER,
  messageLength,
  Tracker,
  type TrackerCounts,
} from 'mproxy-mold';
import t from 'tap';
import { packet } from './packets.js';

interface Row {
  what: string;
  /** The first number that is wanted; 1. */
  first?: number;
  /** `3: c d` a packet; `beat 5`, `end 5`, `gone 5`; `wait 100` so many ms, asking every millisecond. */
  steps: string[];
  /** What was delivered, and what was lost, `(2-3)`, in this order. */
  gives: string;
  /** What was asked for, without repetitions. */
  asks?: string;
  counts?: Partial<TrackerCounts>;
  ended?: boolean;
}

const rows: Row[] = [
  { what: 'packets in order', steps: ['1: a b', '3: c', 'wait 50'], gives: 'a b c', counts: { gaps: 0 } },
  { what: 'an end without a gap', steps: ['1: a', 'end 2'], gives: 'a', ended: true },
  {
    what: 'a heartbeat without a gap',
    steps: ['1: a', 'beat 2', 'wait 50'],
    gives: 'a',
    counts: { gaps: 0 },
  },
  {
    what: 'a packet that is only late',
    steps: ['1: a', '3: c', 'wait 1', '2: b', 'wait 50'],
    gives: 'a b c',
    counts: { gaps: 1, asked: 0, repaired: 0, duplicates: 0 },
  },
  {
    what: 'a gap before data',
    steps: ['1: a', '4: d', 'wait 3', '2: b c', 'wait 50'],
    gives: 'a b c d',
    asks: '2+2',
    counts: { gaps: 1, asked: 1, repaired: 2, duplicates: 0 },
  },
  {
    what: 'an answer in two packets, the second first',
    steps: ['1: a', '4: d', 'wait 3', '3: c', '2: b'],
    gives: 'a b c d',
    asks: '2+2',
    counts: { repaired: 2 },
  },
  {
    what: 'an answer with more than was asked for',
    steps: ['1: a', '3: c', 'wait 3', '1: a b c d'],
    gives: 'a b c d',
    asks: '2+1',
    counts: { repaired: 1, duplicates: 2 },
  },
  {
    what: 'a packet over three gaps and what is held between them',
    steps: ['1: a', '3: c', '5: e', '7: g', 'wait 3', '2: b c d e f', 'end 8'],
    gives: 'a b c d e f g',
    asks: '2+1 4+1 6+1',
    counts: { gaps: 3, repaired: 3, duplicates: 2 },
    ended: true,
  },
  {
    what: 'a gap that a heartbeat tells of',
    steps: ['1: a', 'beat 4', 'wait 3', '2: b c'],
    gives: 'a b c',
    asks: '2+2',
  },
  {
    what: 'a gap that the end tells of',
    steps: ['1: a', 'end 4', 'wait 3', '2: b c'],
    gives: 'a b c',
    asks: '2+2',
    ended: true,
  },
  {
    what: 'an end with something missing',
    steps: ['1: a', 'end 4', 'wait 3', '2: b'],
    gives: 'a b',
    asks: '2+2',
    ended: false,
  },
  {
    what: 'a session that was heard at its end',
    first: 5,
    steps: ['end 5', 'wait 50'],
    gives: '',
    ended: true,
  },
  {
    what: 'an end that was overtaken',
    steps: ['1: a', '3: c', 'end 2', '2: b'],
    gives: 'a b c',
    ended: true,
  },
  {
    what: 'the end again and again',
    steps: ['1: a', 'end 2', 'end 2', 'end 2'],
    gives: 'a',
    ended: true,
    counts: { gaps: 0 },
  },
  {
    what: 'data after an end',
    steps: ['1: a', 'end 2', '3: c', 'wait 3', '2: b'],
    gives: 'a b c',
    asks: '2+1',
    ended: false,
  },
  {
    what: 'a way back to the start',
    steps: ['5: e', 'wait 3', '1: a b', '3: c d'],
    gives: 'a b c d e',
    asks: '1+4',
  },
  {
    what: 'messages before the first that is wanted',
    first: 5,
    steps: ['2: b c', '4: d e f', 'wait 50'],
    gives: 'e f',
    counts: { duplicates: 3, gaps: 0 },
  },
  {
    what: 'duplicates of what was delivered',
    steps: ['1: a b', '1: a b', '2: b c', '1: a'],
    gives: 'a b c',
    counts: { duplicates: 4 },
  },
  {
    what: 'duplicates of what is held',
    steps: ['1: a', '3: c d', '3: c d', '4: d e', '2: b'],
    gives: 'a b c d e',
    counts: { duplicates: 3 },
  },
  { what: 'empty messages', steps: ['1: ', '3: c', '2: '], gives: '  c' },
  {
    what: 'what the sender has no more',
    steps: ['1: a', '5: e', 'wait 3', 'gone 4', 'wait 700', '4: d'],
    gives: 'a (2-3) d e',
    asks: '2+3 4+1',
    counts: { lost: 2, repaired: 1 },
  },
  {
    what: 'all gaps that the sender has no more, and what lies between them',
    steps: ['1: a', '3: c', '6: f', 'gone 6'],
    gives: 'a (2-2) c (4-5) f',
    counts: { lost: 3 },
  },
  {
    what: 'no more than is missing, whatever the sender says',
    steps: ['1: a', '3: c', 'gone 99', '4: d'],
    gives: 'a (2-2) c d',
  },
  {
    what: 'a late packet that was given up',
    steps: ['1: a', '3: c', 'gone 3', '2: b'],
    gives: 'a (2-2) c',
    counts: { duplicates: 1 },
  },
  {
    what: 'a later gap that is given up first',
    steps: ['1: a', '3: c', 'wait 3', '5: e', 'wait 998', '2: b', 'wait 20'],
    gives: 'a b c (4-4) e',
    asks: '2+1 4+1',
    counts: { lost: 1, repaired: 1 },
  },
  {
    what: 'what was asked for in vain',
    steps: ['1: a', '4: d', 'end 6', 'wait 1500'],
    gives: 'a (2-3) d (5-5)',
    asks: '2+2 5+1',
    counts: { lost: 3 },
    ended: true,
  },
];

/** A tracker with a log of what it did. */
function scene(first = 1, window = 1 << 20, timeout = 1000, isFormer = false) {
  const log: string[] = [];
  const asked: string[] = [];
  let now = 1000;
  const tracker = new Tracker({
    ...{ first, isFormer, window, budget: 1 << 20, timeout, random: () => 0 },
    deliver: (bytes, offset, length, count) => {
      let at = offset;
      for (let i = 0; i < count; i++) {
        const size = messageLength(bytes, at);
        log.push(bytes.toString('latin1', at + MESSAGE_HEADER, at + MESSAGE_HEADER + size));
        at += MESSAGE_HEADER + size;
      }
      if (at !== offset + length) throw new Error(`${count} messages in ${length} bytes`);
    },
    lost: (from, count) => log.push(`(${from}-${from + count - 1})`),
  });
  const hear = (bytes: Buffer) => tracker.packet(bytes, 0, bytes.length, now);
  const step = (text: string) => {
    const data = /^(\d+): ?(.*)$/.exec(text);
    if (data) return hear(packet(Number(data[1]), data[2]!.split(' ')));
    const [verb, number] = [text.split(' ')[0], Number(text.split(' ')[1])];
    if (verb === 'beat') return hear(packet(number, [], HEARTBEAT));
    if (verb === 'end') return hear(packet(number, [], END_OF_SESSION));
    if (verb === 'gone') return tracker.gone(number);
    for (let i = 0; i < number; i++) tracker.ask(++now, (from, count) => asked.push(`${from}+${count}`));
  };
  return { tracker, log, asked, hear, step };
}

for (const { what, first, steps, gives, asks = '', counts = {}, ended = false } of rows) {
  t.test(`a receiver copes with ${what}`, (t) => {
    const { tracker, log, asked, step } = scene(first);
    for (const text of steps) step(text);
    t.equal(log.join(' '), gives);
    t.equal([...new Set(asked)].join(' '), asks);
    t.match(tracker.counts, counts);
    t.equal(tracker.ended, ended);
    t.end();
  });
}

t.test('requests become rarer while no answer comes', (t) => {
  const { tracker, asked, step } = scene(1, 1 << 20, 10_000);
  for (const text of ['1: a', '3: c', 'wait 4500']) step(text);
  t.ok(asked.length >= 4 && asked.length <= 6, `${asked.length} requests in 4.5 s`);
  t.equal(tracker.counts.asked, asked.length);
  t.end();
});

t.test('all that is missing is lost when the sender is gone', (t) => {
  const { tracker, log, step } = scene();
  for (const text of ['1: a', '3: c', 'beat 9']) step(text);
  tracker.abandon();
  t.equal(log.join(' '), 'a (2-2) c (4-8)');
  t.notOk(tracker.waits);
  t.end();
});

t.test('messages before the first may have been delivered by a former run: waited for, and not lost', (t) => {
  const former = () => scene(1, 1 << 20, 1000, true);
  const waited = former();
  for (const text of ['5: e', '7: g', 'wait 500', '4: d', 'wait 1500']) waited.step(text);
  t.equal(waited.log.join(' '), 'd e (6-6) g');
  t.equal(waited.tracker.counts.lost, 1);
  const fresh = former();
  fresh.step('1: a');
  t.equal(fresh.log.join(' '), 'a', 'a new session does not wait');
  t.end();
});

t.test('a full window ends in nothing missing, when answers come', (t) => {
  const COUNT = 200;
  const text = (n: number) => `${n}`.padEnd(500, 'x');
  const { tracker, log, hear, asked, step } = scene(1, 4000);
  const all = Array.from({ length: COUNT }, (_, i) => packet(i + 1, [text(i + 1)]));
  // All but the first: many times what the window holds.
  for (const bytes of all.slice(1)) hear(bytes);
  step(`end ${COUNT + 1}`);
  for (let round = 0; !tracker.ended && round < 5000; round++) {
    step('wait 1');
    for (const [first, count] of asked.splice(0).map((request) => request.split('+').map(Number)))
      for (const bytes of all.slice(first! - 1, first! - 1 + count!)) hear(bytes);
  }
  t.ok(tracker.ended);
  t.strictSame(
    log,
    all.map((_, i) => text(i + 1)),
  );
  t.ok(tracker.counts.asked < 3 * COUNT, `${tracker.counts.asked} requests`);
  t.end();
});

t.test('a full window loses no more than what does not come', (t) => {
  const { tracker, log, hear, step } = scene(1, 4000);
  const text = 'x'.repeat(500);
  for (let n = 2; n <= 100; n++) hear(packet(n, [text]));
  step('end 101');
  for (let round = 0; !tracker.ended && round < 10; round++) step('wait 2000');
  t.ok(tracker.ended);
  t.equal(log[0], '(1-1)');
  const got = log.filter((one) => one === text).length;
  t.ok(got >= 6, `${got} messages`);
  t.equal(got + tracker.counts.lost, 100, 'each is delivered or lost');
  t.end();
});

import { type AskRules, Gaps } from 'mproxy-mold';
import t from 'tap';
import { Random } from '../support/random.js';

const RULES: AskRules = {
  chunk: 100,
  budget: 1000,
  least: 1,
  passed: 0,
  heard: 0,
  patience: () => 10,
  timeout: 100,
};

/** Asks, and gives what was asked for, `first+count`, late, `!`, and given up, `-first+count`. */
function ask(gaps: Gaps, now: number, rules: Partial<AskRules> = {}): string {
  const said: string[] = [];
  gaps.ask(
    now,
    { ...RULES, ...rules },
    {
      request: (first, count) => said.push(`${first}+${count}`),
      late: () => said.push('!'),
      lost: (first, end) => said.push(`-${first}+${end - first}`),
    },
  );
  return said.join(' ');
}

/** Takes a range out, and gives the parts of it that were missing. */
function take(gaps: Gaps, first: number, end: number, soon = 0, later = 0): string {
  const parts: string[] = [];
  gaps.take(first, end, soon, later, (from, to) => parts.push(`${from}+${to - from}`));
  return parts.join(' ');
}

function gapsOf(...ranges: [first: number, end: number][]): Gaps {
  const gaps = new Gaps();
  for (const [first, end] of ranges) gaps.add(first, end, 0);
  return gaps;
}

const rows: { what: string; takes: [number, number]; gives: string; leaves: string }[] = [
  { what: 'before all gaps', takes: [1, 10], gives: '', leaves: '10+10 30+10 50+1' },
  { what: 'between two gaps', takes: [20, 30], gives: '', leaves: '10+10 30+10 50+1' },
  { what: 'behind all gaps', takes: [51, 99], gives: '', leaves: '10+10 30+10 50+1' },
  { what: 'the beginning of a gap', takes: [10, 13], gives: '10+3', leaves: '13+7 30+10 50+1' },
  { what: 'the end of a gap', takes: [17, 25], gives: '17+3', leaves: '10+7 30+10 50+1' },
  { what: 'the middle of a gap', takes: [12, 14], gives: '12+2', leaves: '10+2 14+6 30+10 50+1' },
  { what: 'a whole gap', takes: [30, 40], gives: '30+10', leaves: '10+10 50+1' },
  { what: 'a gap of one', takes: [50, 51], gives: '50+1', leaves: '10+10 30+10' },
  { what: 'from one gap into another', takes: [15, 35], gives: '15+5 30+5', leaves: '10+5 35+5 50+1' },
  { what: 'all', takes: [0, Number.POSITIVE_INFINITY], gives: '10+10 30+10 50+1', leaves: '' },
];

for (const { what, takes, gives, leaves } of rows) {
  t.test(`takes out ${what}`, (t) => {
    const gaps = gapsOf([30, 40], [10, 20], [50, 51]);
    t.equal(take(gaps, ...takes), gives);
    t.equal(ask(gaps, 0), leaves);
    t.equal(gaps.empty, leaves === '');
    t.equal(gaps.first, leaves ? Number.parseInt(leaves, 10) : undefined);
    t.end();
  });
}

t.test('nothing is asked for before it is due, and again only after some patience', (t) => {
  const gaps = new Gaps();
  gaps.add(1, 5, 7);
  const patience = (late: number) => 10 * (late + 1);
  t.equal(ask(gaps, 6, { patience }), '');
  t.equal(ask(gaps, 7, { patience }), '1+4');
  t.equal(ask(gaps, 16, { patience }), '');
  t.equal(ask(gaps, 17, { patience }), '! 1+4');
  t.equal(ask(gaps, 36, { patience }), '');
  t.equal(ask(gaps, 37, { patience }), '1+4', 'the same gap is late only once');
  t.end();
});

t.test('it says when it wants to be called again', (t) => {
  const gaps = new Gaps();
  const again = (now: number) =>
    gaps.ask(now, RULES, { request: () => undefined, late: () => undefined, lost: () => undefined });
  t.equal(again(0), Number.POSITIVE_INFINITY);
  gaps.add(5, 6, 20);
  gaps.add(1, 3, 10);
  t.equal(again(0), 10, 'when the next is due');
  t.equal(again(10), 20, 'the other, and both then');
  t.end();
});

t.test('no request is for more than a chunk, and all of a gap is asked for', (t) => {
  t.equal(ask(gapsOf([1, 251]), 0), '1+100 101+100 201+50');
  t.end();
});

t.test('what the budget has no room for waits for what was asked for first', (t) => {
  const gaps = gapsOf([1, 501]);
  const rules = { budget: 200 };
  t.equal(ask(gaps, 0, rules), '1+100 101+100');
  t.equal(ask(gaps, 1, rules), '');
  t.equal(take(gaps, 1, 101), '1+100');
  t.equal(ask(gaps, 2, rules), '201+100');
  t.end();
});

t.test('a request counts for a least, however little it asks for', async (t) => {
  const gaps = gapsOf([1, 2], [3, 4], [5, 6]);
  t.equal(ask(gaps, 0, { budget: 20, least: 10 }), '1+1 3+1');
});

t.test('what is left of an answer is waited for, until a later request was answered', (t) => {
  const gaps = gapsOf([1, 11]);
  const patience = () => 50;
  t.equal(ask(gaps, 3, { patience }), '1+10');
  take(gaps, 1, 4);
  t.equal(ask(gaps, 5, { patience, passed: 3 }), '', 'its other packets are under way');
  t.equal(ask(gaps, 6, { patience, passed: 4 }), '4+7', 'what was asked for later has come');
  t.equal(ask(gaps, 7, { patience, passed: 4 }), '');
  t.end();
});

t.test('what was to come before an answer is asked for soon, and what comes after it later', (t) => {
  const gaps = gapsOf([1, 11]);
  const patience = () => 50;
  t.equal(ask(gaps, 0, { patience }), '1+10');
  t.equal(take(gaps, 4, 6, 5, 70), '4+2');
  t.equal(ask(gaps, 4, { patience }), '');
  t.equal(ask(gaps, 5, { patience }), '! 1+3');
  t.equal(ask(gaps, 69, { patience: () => 99 }), '1+3');
  t.equal(ask(gaps, 70, { patience: () => 99 }), '! 6+5');
  t.end();
});

t.test('what is left of an answer that came at the end of its time is asked for once more', (t) => {
  const gaps = gapsOf([1, 5]);
  t.equal(ask(gaps, 0, { patience: () => 200 }), '1+4');
  take(gaps, 1, 3, 0, 99);
  t.equal(ask(gaps, 100), '! 3+2');
  t.equal(ask(gaps, 195), '3+2');
  t.equal(ask(gaps, 200), '-3+2');
  t.end();
});

t.test('what was asked for too long is given up; a part of an answer is a new beginning', (t) => {
  const gaps = gapsOf([1, 5], [8, 9]);
  t.equal(ask(gaps, 0), '1+4 8+1');
  t.equal(ask(gaps, 60), '! 1+4 ! 8+1');
  take(gaps, 1, 3);
  t.equal(ask(gaps, 99), '3+2 8+1');
  t.equal(ask(gaps, 100), '-8+1');
  t.equal(ask(gaps, 159), '3+2');
  t.equal(ask(gaps, 160), '-3+2');
  t.ok(gaps.empty);
  t.end();
});

t.test('where nothing comes, what had to wait as long is given up, too', (t) => {
  const gaps = gapsOf([1, 501]);
  gaps.add(600, 601, 50);
  const rules = { budget: 200, heard: -1, patience: () => 200 };
  t.equal(ask(gaps, 0, rules), '1+100 101+100');
  t.equal(ask(gaps, 99, rules), '');
  t.equal(ask(gaps, 100, rules), '-1+100 -101+100 -201+300 600+1', 'but not what was missing later');
  t.end();
});

t.test('where something comes, what there was no room for is asked for', (t) => {
  const gaps = gapsOf([1, 501]);
  const rules = { budget: 200, patience: () => 200 };
  t.equal(ask(gaps, 0, { ...rules, heard: -1 }), '1+100 101+100');
  t.equal(take(gaps, 1, 101), '1+100');
  t.equal(ask(gaps, 50, { ...rules, heard: 20 }), '201+100');
  t.equal(ask(gaps, 100, { ...rules, heard: 20 }), '-101+100 301+100');
  t.end();
});

t.test('what was never asked for is not given up', (t) => {
  const gaps = new Gaps();
  gaps.add(1, 2, 1000);
  t.equal(ask(gaps, 999, { timeout: 1 }), '');
  t.equal(ask(gaps, 1000, { timeout: 1 }), '1+1');
  t.end();
});

t.test('it knows what a set of numbers knows', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const gaps = new Gaps();
  const missing = new Set<number>();
  let known = 1;
  const fail = (round: number, why: string) => {
    t.fail(`${why} in round ${round}, SEED=${random.seed}`);
    t.end();
  };
  for (let round = 0; round < 20_000; round++) {
    const length = random.integer(1, 20);
    if (random.next() < 0.4) {
      gaps.add(known, known + length, 0);
      for (let n = known; n < known + length; n++) missing.add(n);
      known += length + random.integer(0, 3);
    } else {
      const first = random.integer(Math.max(1, known - 300), known);
      const taken: number[] = [];
      gaps.take(first, first + length, 0, 0, (from, to) => {
        for (let n = from; n < to; n++) taken.push(n);
      });
      const expected = Array.from({ length }, (_, i) => first + i).filter((n) => missing.delete(n));
      if (String(taken) !== String(expected)) return fail(round, `took ${taken}, not ${expected}`);
    }
    if (gaps.first !== missing.values().next().value) return fail(round, `first is ${gaps.first}`);
  }
  t.pass('20,000 rounds');
  t.end();
});

import { type Listed, Roster } from 'mproxy-base';
import t from 'tap';
import { Random } from '../support/random.js';

interface Named extends Listed {
  name: number;
}

const names = (roster: Roster<Named>) => {
  const all: number[] = [];
  roster.each(({ name }) => all.push(name));
  return all.sort((a, b) => a - b);
};

t.test('holds what was added and not removed', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const roster = new Roster<Named>();
  const set = new Set<Named>();
  const all = Array.from({ length: 50 }, (_, name): Named => ({ name }));
  for (let i = 0; i < 5000; i++) {
    const one = random.pick(all);
    if (random.next() < 0.5) {
      roster.add(one);
      set.add(one);
    } else if (roster.delete(one) !== set.delete(one)) t.fail(`${one.name} was there, or not`);
    if (roster.size !== set.size) t.fail('another size');
    if (i % 100 === 0)
      t.strictSame(
        names(roster),
        [...set].map(({ name }) => name).sort((a, b) => a - b),
      );
  }
  t.end();
});

t.test('all that stay are called while others come and go', (t) => {
  const roster = new Roster<Named>();
  const all = Array.from({ length: 10 }, (_, name): Named => ({ name }));
  for (const one of all) roster.add(one);
  const called = new Set<number>();
  roster.each((one) => {
    called.add(one.name);
    if (one.name === 5) for (const name of [5, 0, 9, 3]) roster.delete(all[name]!);
    if (one.name === 4) roster.add({ name: 99 });
  });
  for (const name of [1, 2, 4, 6, 7, 8]) t.ok(called.has(name), `${name}`);
  t.notOk(called.has(99));
  t.notOk(called.has(0), 'nor those that were removed before their turn');
  t.equal(roster.size, 7);
  t.end();
});

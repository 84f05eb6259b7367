import { RttEstimator } from 'mproxy-mold';
import t from 'tap';

const LEAST = 1000;
const MOST = 10_000;

function patience(most = () => MOST): RttEstimator {
  return new RttEstimator(LEAST, most, () => 0);
}

t.test('until an answer was timed, half a second is waited for one, then up to a second', async (t) => {
  t.strictSame(
    [0, 1, 2, 9].map((late) => patience().of(late)),
    [500, 750, 1000, 1000],
  );
});

t.test('what answers take decides how long one is waited for', async (t) => {
  const quick = patience();
  for (let i = 0; i < 100; i++) quick.answered(i * 10, 4, 0);
  t.ok(quick.of(0) >= 34 && quick.of(0) < 35, `${quick.of(0)} ms`);
  t.equal(quick.of(1), 1.5 * quick.of(0), 'longer each time');
  t.equal(quick.of(9), 150, 'and never for long');
  const slow = patience();
  for (let i = 0; i < 100; i++) slow.answered(i * 10, 600, 0);
  t.ok(slow.of(0) >= 630 && slow.of(9) <= 1801, `a satellite's: ${slow.of(0)} to ${slow.of(9)} ms`);
  const uneven = patience();
  for (let i = 0; i < 100; i++) uneven.answered(i * 10, i % 2 ? 10 : 50, 0);
  t.ok(uneven.of(0) > 100, `${uneven.of(0)} ms where they take 10 or 50`);
});

t.test('waits are spread, so that many receivers do not ask again at once', async (t) => {
  const most = new RttEstimator(
    LEAST,
    () => MOST,
    () => 1,
  );
  t.equal(most.of(0), 1.25 * patience().of(0));
});

t.test('quick answers let more be asked for at once, up to the most', async (t) => {
  const window = patience();
  t.equal(window.window, 2 * LEAST);
  window.answered(0, 20, 500);
  t.equal(window.window, 2 * LEAST + 500);
  window.answered(1, 100, 500);
  t.equal(window.window, 2 * LEAST + 500, 'neither quick nor slow');
  for (let i = 0; i < 100; i++) window.answered(i, 20, 500);
  t.equal(window.window, MOST);
});

t.test(
  'slow answers and late ones halve it, once for all that were under way, down to the least',
  async (t) => {
    const window = patience();
    for (let i = 0; i < 100; i++) window.answered(i, 20, 500);
    window.late(1000);
    window.late(1001);
    window.answered(1002, 200, 500);
    t.equal(window.window, MOST / 2);
    window.answered(5000, 200, 500);
    t.equal(window.window, MOST / 4);
    for (let i = 10; i < 20; i++) window.late(i * 1000);
    t.equal(window.window, LEAST);
  },
);

t.test('the most may change', async (t) => {
  let most = MOST;
  const window = patience(() => most);
  for (let i = 0; i < 100; i++) window.answered(i, 20, 500);
  most = 1500;
  t.equal(window.window, 1500);
});

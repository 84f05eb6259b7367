import { Backoff } from 'mproxy-net/backoff';
import t from 'tap';
import { Clock } from '../support/clock.js';

t.test('an upstream is tried again after half a second, doubling to thirty', (t) => {
  const backoff = new Backoff();
  for (const longest of [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]) {
    const ms = backoff.next();
    t.ok(Number.isInteger(ms) && ms > longest * 0.8 - 1 && ms <= longest, `${ms} of ${longest} ms`);
  }
  t.end();
});

t.test('upstreams that fail together do not come back together', (t) => {
  const delays = new Set(Array.from({ length: 50 }, () => Math.round(new Backoff().next())));
  t.ok(delays.size > 10, `${delays.size} different delays of 50`);
  t.end();
});

t.test('ten seconds of life start it anew', (t) => {
  const clock = new Clock(t);
  const backoff = new Backoff();
  for (let i = 0; i < 4; i++) backoff.next();
  backoff.connected();
  clock.pass(9_999);
  t.ok(backoff.next() > 5000, 'a shorter life does not');
  backoff.connected();
  clock.pass(10_000);
  t.ok(backoff.next() <= 500, 'a good connection does');
  t.ok(backoff.next() > 500, 'and it doubles from there');
  t.ok(backoff.next() > 1000, 'though the good connection was long ago');
  t.end();
});

t.test('data start it anew', (t) => {
  const backoff = new Backoff();
  for (let i = 0; i < 6; i++) {
    backoff.connected();
    backoff.delivered();
    t.ok(backoff.next() <= 500, `connection ${i + 1}`);
  }
  t.ok(backoff.next() > 500, 'and it doubles from there');
  backoff.connected();
  t.ok(backoff.next() > 1000, 'also after a connection without data');
  t.end();
});

import { mock } from 'node:test';
import { sinkCounts, sourceCounts } from 'mproxy-flow/counts';
import { LOST, type Lost } from 'mproxy-flow/events';
import { LossReport } from 'mproxy-flow/loss-report';
import type { Sink } from 'mproxy-flow/sink';
import type { Source } from 'mproxy-flow/source';
import t, { type Test } from 'tap';
import { Clock } from '../support/clock.js';

function reported(t: Test) {
  const clock = new Clock(t);
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 1000) {
      clock.pass(1000);
      mock.timers.tick(1000);
    }
  };
  const source = { name: 'in', counts: { ...sourceCounts(), interruptedMs: 0 } };
  const sink = { name: 'out', dropReason: 'why', dropAdvice: 'do this', counts: sinkCounts() };
  const texts: string[] = [];
  const report = new LossReport(
    () => [source as Source & typeof source],
    () => [sink as Sink & typeof sink],
    (losses: Lost[]) => texts.push(LOST.text({ losses })),
  );
  t.teardown(() => report.stop());
  return { pass, source, sink, texts, report };
}

t.test('losses are told soon, as sums since the start, and at the end only if they are more', (t) => {
  const { pass, sink, texts, report } = reported(t);
  const words = (count: number) => `lost in all: out: dropped ${count} datagrams: why; do this`;
  sink.counts.dropped = 2;
  pass(1000);
  t.strictSame(texts, [words(2)]);
  sink.counts.dropped = 5;
  pass(5000);
  t.equal(texts.length, 1, 'not more often than every ten seconds');
  pass(5000);
  t.strictSame(texts.slice(1), [words(5)]);
  pass(60_000);
  report.finish();
  t.equal(texts.length, 2, 'the last one is not repeated');
  sink.counts.dropped = 6;
  report.finish();
  t.strictSame(texts.slice(2), [words(6)]);
  t.end();
});

t.test('a disconnection, which its own event tells, begins no report before the last', (t) => {
  const { pass, source, sink, texts, report } = reported(t);
  source.counts.interruptedMs = 2000;
  pass(20_000);
  t.strictSame(texts, []);
  report.finish();
  const words = 'in: was disconnected for 2 s: messages of that time may be lost';
  t.strictSame(texts, [`lost in all: ${words}`]);
  sink.counts.dropped = 1;
  pass(20_000);
  t.match(texts[1], words, 'a report has it, too');
  report.finish();
  t.equal(texts.length, 2);
  t.end();
});

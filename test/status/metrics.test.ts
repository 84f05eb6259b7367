import type { Stats } from 'mproxy-flow';
import { SINK_COUNTERS, SOURCE_COUNTERS } from 'mproxy-flow/counters';
import { sinkCounts, sourceCounts } from 'mproxy-flow/counts';
import { type OtherFigures, renderMetrics } from 'mproxy-status/metrics';
import t from 'tap';
import { sample } from './http.js';

const OTHERS: OtherFigures = {
  ...{ cpuSeconds: 1.5, memoryBytes: 1000, startSeconds: 100, openFds: undefined, maxFds: undefined },
  ...{ program: 'mproxy-test', healthy: true, certificates: [{ file: 'a.pem', notAfter: 5000 }] },
};
const source = (name: string, datagrams: number) => ({ ...sourceCounts(), name, datagrams });
const sink = (name: string, datagrams: number) => ({ ...sinkCounts(), name, datagrams });
const render = (stats: Stats) => renderMetrics(stats, OTHERS, 'prometheus');

t.test('names are escaped, and one line each', (t) => {
  const text = render({ routes: [{ source: source('a"b\\c\nd', 1), sinks: [] }] });
  t.match(text, '{source="a\\"b\\\\c\\nd"} 1\n');
  for (const line of text.trimEnd().split('\n'))
    t.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [\d.e+]+)$/);
  t.end();
});

t.test('endpoints of one name are added up; a shared sink is counted once, without a source', (t) => {
  const shared = { ...sink('all', 5), shared: true as const };
  const text = render({
    routes: [
      { source: source('same', 1), sinks: [sink('out', 1), shared] },
      { source: source('same', 2), sinks: [sink('out', 2), shared] },
    ],
  });
  t.equal(sample(text, 'mproxy_received_datagrams_total{source="same"}'), 3);
  t.equal(sample(text, 'mproxy_sent_datagrams_total{source="same",sink="out"}'), 3);
  t.equal(sample(text, 'mproxy_sent_datagrams_total{sink="all"}'), 5);
  const series = text
    .split('\n')
    .flatMap((line) => (line.startsWith('#') ? [] : [line.replace(/ [^ ]*$/, '')]));
  t.equal(new Set(series).size, series.length, 'no series twice');
  t.end();
});

t.test('errors by code, clients by listener, losses by reason, certificates by file', (t) => {
  const out = { ...sink('out', 1), errors: { ENOSPC: 2 }, returned: { 'ECONNREFUSED 10.0.0.1:1': 1 } };
  const clients = { ...sink('here', 1), clients: { now: 3, ever: 9 } };
  const from = { ...source('in', 1), kernelDropped: 4, dropped: 5 };
  const text = render({ routes: [{ source: from, sinks: [out, clients] }] });
  t.equal(sample(text, 'mproxy_send_errors_total{sink="out",code="ENOSPC"}'), 2);
  t.equal(sample(text, 'mproxy_clients{listener="here"}'), 3);
  const dropped = 'mproxy_received_dropped_datagrams_total{source="in"';
  t.equal(sample(text, `${dropped},reason="receive_buffer_full"}`), 4);
  t.equal(sample(text, `${dropped},reason="overload"}`), 5);
  t.equal(sample(text, 'mproxy_certificate_not_after_seconds{file="a.pem"}'), 5);
  t.notMatch(text, '10.0.0.1', 'no label that peers choose');
  t.notMatch(text, 'process_open_fds');
  t.end();
});

t.test('a time is in seconds, exactly, and all metrics of one name have one help', (t) => {
  const interrupted = (name: string, interruptedMs: number) => ({ ...source(name, 0), interruptedMs });
  const text = render({
    routes: [
      { source: interrupted('a', 28_772), sinks: [] },
      { source: interrupted('b', 100), sinks: [] },
      { source: interrupted('b', 200), sinks: [] },
    ],
  });
  t.equal(sample(text, 'mproxy_nats_interrupted_seconds_total{source="a"}'), 28.772);
  t.equal(sample(text, 'mproxy_nats_interrupted_seconds_total{source="b"}'), 0.3);
  t.notMatch(text, /^# HELP .*(milli|kilo)/im, 'no help has another unit than the name');
  const helps = new Map<string, string>();
  for (const { metric, help } of Object.values({ ...SOURCE_COUNTERS, ...SINK_COUNTERS })) {
    for (const counts of [{}, { connections: {}, clients: {} }]) {
      const found = typeof metric === 'function' ? metric(counts as never) : metric;
      if (!found) continue;
      const own = found.help ?? help;
      t.equal(helps.get(found.name) ?? own, own, found.name);
      helps.set(found.name, own);
    }
  }
  t.end();
});

t.test('no two metrics share a family of OpenMetrics, and their names are snake case', (t) => {
  const types = new Map<string, boolean>();
  for (const { metric, gauge = false } of [
    ...Object.values(SOURCE_COUNTERS),
    ...Object.values(SINK_COUNTERS),
  ]) {
    const found = typeof metric === 'function' ? metric({ connections: undefined } as never) : metric;
    if (!found) continue;
    t.match(found.name, /^[a-z]+(_[a-z]+)*$/);
    t.equal(types.get(found.name) ?? gauge, gauge, found.name);
    types.set(found.name, gauge);
  }
  t.end();
});

t.test('the time for routes and sinks grows as their number does', (t) => {
  const routes = Array.from({ length: 2000 }, (_, i) => ({
    source: source(`in ${i}`, i),
    sinks: [sink(`out ${i}`, i)],
  }));
  // What else runs on the machine only adds time.
  const took = (count: number) => {
    const some = { routes: routes.slice(0, count) };
    const times = Array.from({ length: 30 }, () => {
      const begun = performance.now();
      render(some);
      return performance.now() - begun;
    });
    return Math.min(...times);
  };
  took(200);
  const ratio = took(2000) / took(200);
  t.ok(ratio < 40, `ten times as many take ${ratio.toFixed(1)} times as long`);
  t.end();
});

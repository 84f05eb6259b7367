import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { BOUNDS, BUCKETS, bucketOf, percentile, shownBuckets } from 'mproxy-gateway/counters/durations';
import { GatewayCounters } from 'mproxy-gateway/counters/gateway-counters';
import { Layout, ROUTE } from 'mproxy-gateway/counters/layout';
import { WorkerCounters } from 'mproxy-gateway/counters/worker-counters';
import { grantedCpus, usableCpus } from 'mproxy-gateway/cpus';
import t from 'tap';
import { Random } from '../support/random.js';

t.test('a duration is in the first bucket whose bound it does not exceed', (t) => {
  t.equal(bucketOf(0), 0);
  for (const [i, bound] of BOUNDS.entries()) {
    t.equal(bucketOf(bound), i, `${bound} ms`);
    t.equal(bucketOf(bound * 1.0001), i + 1, `more than ${bound} ms`);
  }
  t.equal(bucketOf(Number.POSITIVE_INFINITY), BUCKETS - 1);
  t.end();
});

t.test('what metrics show has each value at or below its bound', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const values = Array.from({ length: 1000 }, () => 10 ** (random.integer(-20, 60) / 10));
  const counts = new Array<number>(BUCKETS).fill(0);
  for (const ms of values) counts[bucketOf(ms)]!++;
  const shown = shownBuckets(counts);
  let count = 0;
  for (const [i, bound] of shown.bounds.entries()) {
    count += shown.counts[i]!;
    t.equal(count, values.filter((ms) => ms <= bound * 1000).length, `up to ${bound} s`);
  }
  t.equal(
    shown.counts.reduce((sum, one) => sum + one),
    1000,
  );
  t.end();
});

t.test('percentiles are the bounds of the buckets that they fall into', (t) => {
  const counts = new Array<number>(BUCKETS).fill(0);
  t.equal(percentile(counts, 0.5), undefined);
  counts[bucketOf(2)]! += 98;
  counts[bucketOf(300)]! += 2;
  t.equal(percentile(counts, 0.5), 2);
  t.equal(percentile(counts, 0.98), 2);
  t.equal(percentile(counts, 0.99), 315);
  counts[BUCKETS - 1]! += 100;
  t.equal(percentile(counts, 0.99), undefined, 'above all bounds');
  t.end();
});

t.test('the counters of workers are summed, and percentiles forget what is older than a minute', (t) => {
  const route = (name: string) => ({ name, target: { kind: 'upstream', upstreams: ['http://a:1'] } });
  const config = { routes: [route('/a'), route('/a'), route('/b')], listen: [{ text: 'here' }] };
  const layout = new Layout({ ...config, portEncoding: undefined } as never);
  t.strictSame(layout.routes, ['/a', '/b', 'none'], 'routes of one name are one');
  t.strictSame(layout.upstreams, ['http://a:1']);
  const counters = new GatewayCounters(layout, 2);
  const workers = [0, 1].map((worker) => new WorkerCounters(layout, counters.memory(worker)));
  const outcome = { status: 200, received: 10, sent: 1, firstByte: 1, duration: 1, cut: undefined };
  const ended = (worker: number, name: string | undefined, duration: number) => {
    workers[worker]!.begun();
    const context = { route: name } as never;
    workers[worker]!.ended({ version: '1.1' } as never, context, { ...outcome, duration });
  };
  ended(0, '/b', 1);
  ended(1, '/b', 1);
  ended(1, undefined, 1);
  ended(1, 'unknown', 1);
  workers[1]!.begun();
  workers[1]!.connectionOpened(0);
  t.equal(counters.sum(layout.route(1) + ROUTE.received), 20);
  t.equal(counters.sum(layout.route(2) + ROUTE.received), 20, 'no route, or none of the configuration');
  t.strictSame(counters.ended(1), { requests: 1, connections: 1 });
  t.strictSame(counters.ended(1), { requests: 0, connections: 0 });
  t.equal(counters.sum(layout.route(1) + ROUTE.received), 20, 'they outlive the worker');

  const recent = () => percentile(counters.recentBuckets(1), 0.5);
  counters.remember(0);
  ended(0, '/b', 100);
  t.equal(recent(), 100);
  for (let at = 5000; at <= 120_000; at += 5000) counters.remember(at);
  t.equal(recent(), undefined);
  t.end();
});

t.test('the CPUs that the group of this process, and those around it, grant', (t) => {
  const root = t.testdir();
  const write = (group: string, max: string) => {
    mkdirSync(join(root, group), { recursive: true });
    writeFileSync(join(root, group, 'cpu.max'), max);
  };
  const groups = (text: string) => {
    writeFileSync(join(root, 'groups'), text);
    return grantedCpus(join(root, 'groups'), root);
  };
  const none = Number.POSITIVE_INFINITY;
  t.equal(groups('0::/\n'), none, 'the root group has no limit');
  write('a/b', 'max 100000\n');
  t.equal(groups('0::/a/b\n'), none);
  write('a', '150000 100000\n');
  t.equal(groups('0::/a/b\n'), 1.5, 'that of the group around it');
  write('a/b', '20000 100000\n');
  t.equal(groups('12:cpu:/x\n0::/a/b\n'), 0.2, 'the smaller one');
  t.equal(groups('0::/../a\n'), 1.5, 'a group outside of the namespace');
  t.equal(groups('1:cpu:/a\n'), none, 'version 1 alone');
  t.equal(grantedCpus(join(root, 'missing'), root), none, 'not Linux');
  t.ok(usableCpus() >= 1 && usableCpus() <= availableParallelism());
  t.end();
});

import { drawStats } from 'mproxy-command/stats-table';
import type { Lost } from 'mproxy-flow';
import { sinkCounts, sourceCounts } from 'mproxy-flow/counts';
import t from 'tap';

const LOST: Lost = {
  ...{ endpoint: 'out', counter: 'dropped', count: 7, amount: 7, lost: 'dropped 7 datagrams' },
  ...{ label: undefined, reason: undefined, remedy: undefined },
};
const LATE = { ...LOST, counter: 'timedOut', count: 2, amount: 0 };
const SOURCE = {
  ...sourceCounts(),
  name: '239.1.1.1:9922,interface=lo,source=10.0.0.1',
  datagrams: 64,
  bytes: 640,
};
const SINK = {
  ...sinkCounts(),
  name: 'out',
  datagrams: 57,
  bytes: 570,
  clients: { now: 3, ever: 12 },
  dropped: 7,
};
const handle = {
  stats: () => ({ routes: [{ source: SOURCE, sinks: [SINK] }] }),
  losses: () => [LOST, LATE, { ...LOST, counter: 'errors', label: 'EPERM', count: 2, amount: 2 }],
};

/** The first table, for a width. */
function table(width: number): string[] {
  let lines: string[] = [];
  drawStats(handle as never, 1e6, (linesOf) => {
    lines = linesOf(width);
  })();
  return lines;
}

t.test('every row has all that it lost', (t) => {
  const [head, source, sink] = table(200);
  t.match(head, /^ +datagrams\/s +Mbps +datagrams +bytes +lost +other counters$/);
  t.match(source, /^239\.1\.1\.1:9922,interface=lo,source=10\.0\.0\.1 +\d+ +\d+\.\d +64 +640 B +0/);
  t.match(sink, /^-> out +\d+ +\d+\.\d +57 +570 B +9 +3 clients now 12 ever, 7 dropped datagrams$/);
  t.end();
});

t.test('the first rate is that since the start', (t) => {
  let first: string[] = [];
  const stop = drawStats(handle as never, 1e6, (linesOf) => {
    if (first.length === 0) first = linesOf(200);
  });
  stop();
  t.match(first[1], /source=10\.0\.0\.1 +[1-9]/);
  t.end();
});

t.test('on a narrow terminal names lose their keys, then columns are hidden, and it says so', (t) => {
  const full = Math.max(...table(500).map(({ length }) => length));
  t.match(table(full)[1], /^239\.1\.1\.1:9922,interface=lo/);
  t.match(table(full - 1)[1], /^239\.1\.1\.1:9922 /);
  t.notMatch(table(full - 1).join('\n'), 'hidden');
  for (let width = 30; width < full; width++) {
    const lines = table(width).slice(0, 3);
    const widest = Math.max(...lines.map(({ length }) => length));
    t.ok(width < 38 || widest <= width, `${widest} of ${width}`);
    t.match(lines[0], /datagrams\/s/);
    t.match(lines[0], /lost/, 'losses are always shown');
  }
  t.match(table(79).join('\n'), /3 clients now .*\.\.\.$/m, 'a part of the last column');
  t.equal(table(52).at(-1), 'hidden, as the terminal is narrow: bytes, other counters');
  t.end();
});

import t from 'tap';
import { type Contestant, ORIGINAL } from '../../bench/contestant.js';
import { fullLoads, type Load } from '../../bench/loads.js';
import { machine } from '../../bench/machine.js';
import { report } from '../../bench/report.js';
import { Results } from '../../bench/results.js';
import { NOTHING, type Sample } from '../../bench/sample.js';

const OURS: Contestant = { name: 'mproxy', kind: 'ours', command: () => undefined };
const RUST: Contestant = { name: ORIGINAL, version: '0.1.8', kind: 'peer', command: () => undefined };
const ABSENT =
  'The Rust original was not measured in this run. `npm run bench -- --help` has how to include it (MPROXY_RS).';

t.test('the ratio to the original is that of the medians, for each load that it was measured on', (t) => {
  const results = new Results();
  const group = load('group', '1400 B, 10,000/s, 1 client');
  add(results, group, OURS, { rate: 9000, delivered: 1, cpu: 1 }, { rate: 10_000, delivered: 1, cpu: 3 });
  add(results, group, RUST, { rate: 2500, delivered: 0.25, cpu: 4 });
  const latency = load('latency', '100 B, 2,000/s');
  add(results, latency, OURS, { p50: 12, p99: 40 });
  add(results, latency, RUST, { p50: 15, p99: 10 });
  const relay = load('relay', '64 B, flood');
  add(results, relay, OURS, { rate: 1, delivered: 1, cpu: 1 });
  add(results, relay, RUST).failure = 'it ended';
  t.strictSame(section(results), [
    'mproxy beside the original (Rust) 0.1.8, on the loads that both have a part in. The ratio is that of the medians of this run.',
    '',
    '| work | figure | mproxy | original | mproxy / original |',
    '| --- | --- | ---: | ---: | ---: |',
    '| group, 1400 B, 10,000/s, 1 client | delivered, datagrams a second (more is better) | 9,500 | 2,500 | 3.80 |',
    '| group, 1400 B, 10,000/s, 1 client | part delivered (more is better) | 1.00 | 0.25 | 4.00 |',
    '| group, 1400 B, 10,000/s, 1 client | CPU seconds a GB (less is better) | 2.00 | 4.00 | 0.50 |',
    '| latency, 100 B, 2,000/s | median latency, us (less is better) | 12.0 | 15.0 | 0.80 |',
    '| latency, 100 B, 2,000/s | p99, us (less is better) | 40.0 | 10.0 | 4.00 |',
  ]);
  t.end();
});

t.test('nothing is claimed of the original where it was not measured', (t) => {
  const results = new Results();
  const relay = load('relay', '64 B, flood');
  add(results, relay, OURS, { rate: 1, delivered: 1, cpu: 1 });
  t.strictSame(section(results), [ABSENT], 'it took no part');
  add(results, relay, RUST).failure = 'it ended';
  t.strictSame(section(results), [ABSENT], 'every turn of it failed');
  t.end();
});

t.test(
  'the original and its version stand beside the peers',
  { skip: process.platform !== 'linux' && 'reads /proc' },
  (t) => {
    const peers = (all: Contestant[]) => machine(all).find((line) => line.startsWith('Peers: '));
    t.equal(peers([OURS]), 'Peers: none');
    t.equal(peers([OURS, RUST]), 'Peers: original (Rust) 0.1.8');
    const { version: _, ...unknown } = RUST;
    t.equal(peers([OURS, unknown]), 'Peers: original (Rust), version unknown');
    t.end();
  },
);

function load(role: Load['role'], name: string): Load {
  return fullLoads().find((one) => one.role === role && one.name === name)!;
}

function add(results: Results, load: Load, contestant: Contestant, ...samples: Partial<Sample>[]) {
  const result = results.add(load, contestant);
  for (const sample of samples) result.samples.push({ ...NOTHING, ...sample });
  return result;
}

/** The lines of the report's part about the original. */
function section(results: Results): string[] {
  const run = { skipped: [], machine: [], rounds: 1, minutes: 1, verdicts: [] };
  const text = report(results, run).split('## Beside the original\n\n')[1]!;
  return text.split('\n\n## ')[0]!.split('\n');
}

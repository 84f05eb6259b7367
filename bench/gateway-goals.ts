import type { Load } from './loads.js';
import { type Metric, median, type Results, short } from './results.js';
import type { Verdict } from './verdict.js';

/** A contestant's figure at some loads, as a ratio to another's. */
interface Goal {
  at: (load: Load) => boolean;
  who?: string;
  /** Requests for a second of CPU, or the mean latency. */
  figure: 'requests a CPU second' | 'CPU' | 'mean latency';
  bound: '>=' | '<=';
  ratio: number;
  of: string;
}

const LOOP = 'bare C loop';
const kept = (clients: number) => (load: Load) =>
  isFlood(load) && !load.tls && load.clients === clients && load.size === 100;
const large = (load: Load) => isFlood(load) && !load.tls && load.size === 1e6;
const keptTls = (load: Load) => isFlood(load) && load.tls && load.size === 100;
const largeTls = (load: Load) => isFlood(load) && load.tls && load.size === 1e6;
const fresh = ({ mode }: Load) => mode === 'new' || mode === 'resumed';
const echo = ({ mode }: Load) => mode === 'echo';
const paced = (load: Load) => load.rate > 0;
const perCpu = { figure: 'requests a CPU second', bound: '>=' } as const;

const GOALS: Goal[] = [
  { at: kept(64), ...perCpu, ratio: 1.05, of: 'nginx' },
  { at: kept(64), ...perCpu, ratio: 1, of: 'haproxy' },
  { at: kept(64), figure: 'CPU', bound: '<=', ratio: 1.35, of: LOOP },
  { at: kept(64), who: 'mproxy, engine node', ...perCpu, ratio: 2, of: 'http-proxy' },
  { at: kept(512), ...perCpu, ratio: 1.3, of: 'nginx' },
  { at: large, ...perCpu, ratio: 2, of: 'nginx' },
  { at: large, ...perCpu, ratio: 1.3, of: 'haproxy' },
  { at: fresh, ...perCpu, ratio: 0.9, of: 'nginx' },
  { at: keptTls, ...perCpu, ratio: 1.05, of: 'nginx' },
  { at: keptTls, ...perCpu, ratio: 1.05, of: 'haproxy' },
  { at: largeTls, ...perCpu, ratio: 1.5, of: 'nginx' },
  { at: echo, ...perCpu, ratio: 1, of: 'haproxy' },
  { at: paced, figure: 'mean latency', bound: '<=', ratio: 1.2, of: 'nginx' },
];

/** The goals of the gateway, or of its start and memory, at one load. Those with a program that is not here are omitted. */
export function gatewayVerdicts(results: Results, load: Load): Verdict[] {
  const figure = (name: string, metric: Metric) =>
    median(
      results.of(load).find(({ contestant }) => contestant.name === name),
      metric,
    );
  return load.role === 'start' ? startVerdicts(load, figure) : loadVerdicts(load, figure);
}

type Figure = (name: string, metric: Metric) => number;

function loadVerdicts(load: Load, figure: Figure): Verdict[] {
  const work = `gateway, ${load.name}`;
  const right = figure('mproxy', 'delivered') * 100;
  const all = { work, goal: 'every answer right', measured: `${right.toFixed(2)} %`, met: right === 100 };
  const goals = GOALS.filter(({ at }) => at(load)).flatMap((goal): Verdict[] => {
    const { who = 'mproxy', of, bound, ratio } = goal;
    const metric = goal.figure === 'mean latency' ? 'mean' : 'cost';
    const less = figure(who, metric) / figure(of, metric);
    if (!Number.isFinite(less)) return [];
    const measured = bound === '>=' ? 1 / less : less;
    const met = bound === '>=' ? measured >= ratio : measured <= ratio;
    const text = `${goal.figure} ${bound} ${ratio} of ${of}'s`;
    return [{ work, goal: who === 'mproxy' ? text : `${who}: ${text}`, measured: short(measured), met }];
  });
  return [all, ...goals];
}

function startVerdicts(load: Load, figure: Figure): Verdict[] {
  const work = `gateway, start and ${load.name}`;
  const starts = figure('mproxy', 'starts');
  const rss = figure('mproxy', 'rss') / 1e6;
  const idle = figure('mproxy', 'idle') / 1024;
  const most = load.tls ? 40 : 8;
  const connection = {
    work,
    goal: `an idle connection <= ${most} KB`,
    measured: `${short(idle)} KB`,
    met: idle <= most,
  };
  if (load.tls) return [connection];
  return [
    { work, goal: 'first answer in <= 3 times `node -e 0`', measured: short(starts), met: starts <= 3 },
    { work, goal: 'memory at rest <= 100 MB', measured: `${short(rss)} MB`, met: rss <= 100 },
    connection,
  ];
}

function isFlood({ role, rate, mode }: Load): boolean {
  return role === 'gateway' && rate === 0 && mode === 'kept';
}

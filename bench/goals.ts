import { gatewayVerdicts } from './gateway-goals.js';
import type { Load } from './loads.js';
import { compared, headline, type Metric, median, type Result, type Results, short } from './results.js';
import type { Verdict } from './verdict.js';

/** The project's goals and their results. Goals that were not measured are omitted. */
export function verdicts(results: Results, startup: number): Verdict[] {
  const found: Verdict[] = [];
  const judge = (work: string, goal: string, measured: string, met: boolean) =>
    found.push({ work, goal, measured, met });

  for (const load of results.all.filter(isOurs).map((result) => result.load)) {
    const work = `${load.role}, ${load.name}`;
    const to = compare(results, load);
    if (load.role === 'repair') {
      for (const [metric, goal] of [
        ['seconds', 'everybody has it in less time than with uftp'],
        ['wire', 'no more bytes on the wire than uftp'],
      ] as const)
        judge(work, goal, `${short(to.named('uftp', metric))} of uftp's`, to.named('uftp', metric) <= 1);
      continue;
    }
    if (load.role === 'gateway' || load.role === 'start') {
      found.push(...gatewayVerdicts(results, load));
      continue;
    }
    if (load.role === 'many') {
      const rss = to.ours('rss') / 1e6;
      judge(work, 'peak RSS <= 120 MB', `${short(rss)} MB`, rss <= 120);
      const late = to.ours('p99') / 1000;
      judge(work, 'p99 into the file <= 50 ms', `${short(late)} ms`, late <= 50);
      continue;
    }
    const single = load.role === 'relay' || load.role === 'server';
    const near = (metric: Metric) => `${short(to.loop(metric))} of the C loop's`;
    const { metric, title } = headline(load.role);
    const twin = to.twin(metric);
    if (Number.isFinite(twin)) {
      const goal = `${title}: 0.9 to 1.1 of the same code under node`;
      judge(work, goal, short(twin), twin >= 0.9 && twin <= 1.1);
      continue;
    }
    if (single && (load.segmented || load.rate === 0)) {
      const least = load.segmented ? 0.99 : 0.95;
      const part = `${near('delivered')} (${percent(to.ours('delivered'))})`;
      judge(work, `part delivered >= ${least} of the C loop's`, part, to.loop('delivered') >= least);
      judge(work, `delivered a second >= ${least} of the C loop's`, near('rate'), to.loop('rate') >= least);
      judge(work, "CPU a GB <= 1.15 of the C loop's", near('cpu'), to.loop('cpu') <= 1.15);
      const rival = to.peers('rate', false);
      judge(work, 'ahead of every peer', rival.text, rival.ahead);
    } else if (single) {
      const part = to.ours('delivered') * 100;
      judge(work, '100.00 % delivered', `${part.toFixed(2)} %`, part >= 99.995);
    } else if (load.role === 'client' && load.frame === 'mold') {
      const part = to.ours('mbps') / linesFigure(results, load, 'mbps');
      judge(work, 'Mbps >= 0.7 of those of lines', `${short(part)} of those of lines`, part >= 0.7);
    } else if (load.role === 'client' && load.frame === 'lines' && !load.told) {
      const speed = to.peers('mbps', false);
      judge(work, 'Mbps ahead of every peer', speed.text, speed.ahead);
      const cpu = to.peers('cpu', true);
      judge(work, 'CPU a GB ahead of every peer', cpu.text, cpu.ahead);
    } else if (load.role === 'client' && load.frame === 'raw' && load.size === 1400) {
      judge(work, "Mbps >= 0.9 of the C loop's", near('mbps'), to.loop('mbps') >= 0.9);
    } else if (load.role === 'group' && (load.tls || load.clients === 100)) {
      const part = to.ours('delivered') * 100;
      judge(work, '100 %, whole and in order at every client', `${part.toFixed(2)} %`, part >= 99.995);
      judge(work, "CPU a GB <= 1.5 of the C loop's", near('cpu'), to.loop('cpu') <= 1.5);
    } else if (load.role === 'latency' && load.size === 100) {
      const half = to.named('socat', 'p50');
      if (Number.isFinite(half)) judge(work, "p50 <= 1.1 of socat's", short(half), half <= 1.1);
      const most = to.named('socat', 'p99');
      if (Number.isFinite(most)) judge(work, "p99 <= 2 of socat's", short(most), most <= 2);
    }
  }
  const rss = Math.max(...results.all.filter(hasRssGoal).map((result) => median(result, 'rss') || 0)) / 1e6;
  if (rss > 0)
    judge(
      'all of these but mold, many and gateway',
      'peak RSS <= 100 MB',
      `at most ${short(rss)} MB`,
      rss <= 100,
    );
  judge('any command with --help', 'under 100 ms', `at most ${short(startup)} ms`, startup < 100);
  return found;
}

/** Figures in which another program beats mproxy by more than the noise of one run. */
export function defeats(results: Results): string[] {
  const noise = 1.03;
  return results.all.filter(isOurs).flatMap(({ load, ...ours }) => {
    return compared(load.role).flatMap(({ metric, less, title }) => {
      const own = median({ load, ...ours }, metric);
      const better = others(results, load).filter((result) => {
        const its = median(result, metric);
        return less ? its * noise < own : its > own * noise;
      });
      if (better.length === 0) return [];
      const who = better.map((result) => `${result.contestant.name} ${short(median(result, metric))}`);
      return [`${load.role}, ${load.name}: ${title}: mproxy ${short(own)}; ${who.join(', ')}`];
    });
  });
}

/** mproxy's figure for the same file and size with `lines`. */
function linesFigure(results: Results, { size, bytes }: Load, metric: Metric): number {
  const lines = results.all
    .filter(isOurs)
    .find(({ load }) => load.frame === 'lines' && load.told && load.size === size && load.bytes === bytes);
  return median(lines, metric);
}

function percent(part: number): string {
  return `${(part * 100).toFixed(2)} %`;
}

/** Mold retains sent messages (`--retain`), so its memory has no goal; many sockets and the gateway have their own. */
function hasRssGoal(result: Result): boolean {
  const { frame, role } = result.load;
  return isOurs(result) && frame !== 'mold' && !['many', 'gateway', 'start'].includes(role);
}

function isOurs(result: Result): boolean {
  return result.contestant.kind === 'ours';
}

function others(results: Results, load: Load): Result[] {
  return results
    .of(load)
    .filter(({ contestant }) => contestant.kind === 'loop' || contestant.kind === 'peer');
}

/** mproxy's figures at one load, as ratios to the others. */
function compare(results: Results, load: Load) {
  const rows = results.of(load);
  const ours = (metric: Metric) => median(rows.find(isOurs), metric);
  const to = (metric: Metric, match: (result: Result) => boolean) =>
    ours(metric) / median(rows.find(match), metric);
  return {
    ours,
    loop: (metric: Metric) => to(metric, ({ contestant }) => contestant.kind === 'loop'),
    twin: (metric: Metric) => to(metric, ({ contestant }) => contestant.kind === 'twin'),
    named: (name: string, metric: Metric) => to(metric, ({ contestant }) => contestant.name === name),
    peers(metric: Metric, less: boolean): { text: string; ahead: boolean } {
      const all = rows
        .filter(({ contestant }) => contestant.kind === 'peer')
        .map((result) => ({ name: result.contestant.name, value: median(result, metric) }))
        .filter(({ value }) => Number.isFinite(value))
        .sort((a, b) => (less ? a.value - b.value : b.value - a.value));
      const best = all[0];
      if (!best) return { text: `${short(ours(metric))}, no peer`, ahead: true };
      const ahead = less ? ours(metric) < best.value : ours(metric) > best.value;
      return { text: `${short(ours(metric))}, ${best.name} ${short(best.value)}`, ahead };
    },
  };
}

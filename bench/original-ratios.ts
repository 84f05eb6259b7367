import { ORIGINAL } from './contestant.js';
import { named } from './original.js';
import { compared, median, type Results, short } from './results.js';
import { table } from './table.js';

/** Figures of mproxy and the original on the same loads, with ratios, as Markdown. */
export function besideOriginal(results: Results): string[] {
  const measured = results.all.filter(
    ({ contestant, samples }) => contestant.name === ORIGINAL && samples.length > 0,
  );
  const rows = measured.flatMap(({ load, ...rest }) => {
    const ours = results.of(load).find(({ contestant }) => contestant.kind === 'ours');
    return compared(load.role).map(({ metric, title, less }) => {
      const mine = median(ours, metric);
      const its = median({ load, ...rest }, metric);
      const figure = `${title} (${less ? 'less' : 'more'} is better)`;
      return [`${load.role}, ${load.name}`, figure, short(mine), short(its), short(mine / its)];
    });
  });
  if (rows.length === 0)
    return [
      'The Rust original was not measured in this run. `npm run bench -- --help` has how to include it (MPROXY_RS).',
    ];
  return [
    `mproxy beside the ${named(measured[0]!.contestant)}, on the loads that both have a part in. The ratio is that of the medians of this run.`,
    table(['work', 'figure', 'mproxy', 'original', 'mproxy / original'], rows, 2),
  ];
}

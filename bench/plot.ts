import type { Contestant } from './contestant.js';
import type { Role } from './loads.js';
import { headline, type Metric, median, type Result, type Results, short } from './results.js';

const WIDTH = 940;
const NAMES = 150;
const PANEL = 370;
const GAP = 25;
const ROW = 20;
const BAR = 14;
const TOP = 66;
/** Space for the figure right of the longest bar. */
const FIGURE = 62;
/** A bar longer than this multiple of the C loop's, or else mproxy's, is cut off. */
const MAX_RATIO = 6;

const COLOURS: Record<Contestant['kind'], string> = {
  ours: '#1a66c9',
  node: '#8db9ec',
  twin: '#8db9ec',
  loop: '#4a525c',
  peer: '#b9c0c8',
};

interface Panel {
  metric: Metric;
  title: string;
}

/** The picture of one role: two panels of bars side by side, a block of rows for each load. */
export function plot(role: Role, results: Results): string {
  const { metric, title } = headline(role);
  const second: Panel =
    role === 'latency'
      ? { metric: 'p99', title: '99th percentile, us' }
      : role === 'many'
        ? { metric: 'rss', title: 'peak RSS, bytes' }
        : role === 'repair'
          ? { metric: 'wire', title: 'times the file on the wire' }
          : role === 'gateway'
            ? { metric: 'mean', title: 'mean latency, us' }
            : role === 'start'
              ? { metric: 'idle', title: 'bytes an idle connection' }
              : { metric: 'cpu', title: 'CPU seconds for a GB' };
  const direction = headline(role).less ? 'shorter is better' : 'longer is better';
  const panels = [
    { metric, title: `${title} (${direction})` },
    { ...second, title: `${second.title} (shorter is better)` },
  ];
  let y = TOP;
  const body: string[] = [];
  for (const load of results.loads(role)) {
    const rows = results.of(load);
    body.push(text(20, y + 12, load.name, 'load'));
    y += 22;
    body.push(...block(rows, panels, y));
    y += rows.length * ROW + 16;
  }
  const heads = panels.map((panel, i) => text(left(i), 46, panel.title, 'head'));
  return document(y, TITLES[role], [text(20, 24, TITLES[role], 'title'), ...heads, ...body]);
}

export const TITLES: Record<Role, string> = {
  relay: 'Relay: UDP to UDP (mproxy-forward)',
  server: 'Server: UDP to a file (mproxy-server)',
  client: 'Client: a file to UDP (mproxy-client)',
  group: 'Group: multicast to TCP clients (mproxy-reverse)',
  repair: 'Repair: a file to three hosts that lose some of everything (--frame mold)',
  latency: 'Latency of the relay (mproxy-forward)',
  many: 'Many sockets in one mproxy-server',
  gateway: 'Gateway: HTTP/1.1 (mproxy-gateway)',
  start: 'Gateway: start and memory (mproxy-gateway)',
};

function block(rows: Result[], panels: Panel[], y: number): string[] {
  const names = rows.map(({ contestant }, i) =>
    text(NAMES + 10, y + i * ROW + 11, contestant.name, contestant.kind === 'ours' ? 'name ours' : 'name'),
  );
  const bars = panels.flatMap(({ metric }, panel) => {
    const values = rows.map((row) => median(row, metric));
    const longest = scale(rows, values);
    return rows.flatMap(({ contestant }, i) =>
      bar(left(panel), y + i * ROW, values[i]!, longest, COLOURS[contestant.kind]),
    );
  });
  return [...names, ...bars];
}

function scale(rows: Result[], values: number[]): number {
  const loop = rows.findIndex(({ contestant }) => contestant.kind === 'loop');
  const base = values[Math.max(loop, 0)]!;
  const longest = Math.max(...values.filter(Number.isFinite), 0);
  return Number.isFinite(base) && base > 0 ? Math.min(longest, base * MAX_RATIO) : longest;
}

function bar(x: number, y: number, value: number, longest: number, colour: string): string[] {
  if (!Number.isFinite(value) || longest <= 0)
    return [text(x + 4, y + 11, 'nothing measured', 'figure none')];
  const cutOff = value > longest;
  const width = Math.max(2, (Math.min(value, longest) / longest) * (PANEL - FIGURE));
  const shape = `<rect x="${x}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" fill="${colour}"/>`;
  const gap = x + width - 14;
  const slash = `<path d="M${gap} ${y + BAR} l5 ${-BAR} h4 l-5 ${BAR} z" fill="#fff"/>`;
  return [shape, ...(cutOff ? [slash] : []), text(x + width + 5, y + 11, short(value), 'figure')];
}

function left(panel: number): number {
  return NAMES + 20 + panel * (PANEL + GAP);
}

function text(x: number, y: number, content: string, style: string): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" class="${style}">${safe}</text>`;
}

function document(height: number, title: string, parts: string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${title}</title>
<style>
text { font: 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.head { fill: #57606a }
.load { font-weight: 600 }
.name { text-anchor: end }
.ours { font-weight: 600 }
.figure { font-size: 11px }
.none { fill: #8c959f }
</style>
<rect width="${WIDTH}" height="${height}" rx="6" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}

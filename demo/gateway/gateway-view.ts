import { showBytes } from 'mproxy-base';
import type { Frame, View } from '../demonstration.js';
import type { GatewayDemonstration } from './gateway-demonstration.js';
import { labelOf, PURPOSES, type RouteName } from './routes.js';
import type { Tally } from './tally.js';

/** The routes of a gateway with their answers, as a picture and as lines. */
export function gatewayView(gateway: GatewayDemonstration): View {
  return { poll: () => undefined, draw: (frame) => draw(gateway, frame), list: () => list(gateway) };
}

function list({ tallies }: GatewayDemonstration): string[] {
  return [...tallies].map(([route, tally]) => {
    const { right, wrong, bytes } = tally;
    const counts = `${count(right).padStart(7)} right ${count(wrong).padStart(5)} wrong`;
    return `${labelOf(route).padEnd(NAME_WIDTH)}${counts}  ${showBytes(bytes).padStart(9)}  ${mean(tally).padStart(8)}`;
  });
}

function draw(gateway: GatewayDemonstration, frame: Frame): string[] {
  const { paint, seconds } = frame;
  return [
    paint.dim(`${`${seconds.toFixed(1)} s`.padEnd(NAME_WIDTH + 2)}${cells(HEADINGS)}`),
    ...[...gateway.tallies].map(([route, tally]) => drawRoute(gateway, route, tally, frame)),
    '',
    ...drawOwn(gateway).map((line) => paint.dim(line)),
  ];
}

function drawRoute(
  { own }: GatewayDemonstration,
  route: RouteName,
  tally: Tally,
  { paint, columns, finished }: Frame,
): string {
  const { right, wrong, bytes } = tally;
  const mood = wrong > 0 ? 'bad' : finished ? 'good' : 'flow';
  const mark = paint[mood]({ bad: '✘', good: '✔', flow: '▸' }[mood]);
  const requests = own ? count(own.requests(route)) : '';
  const figures = cells([count(right), count(wrong), showBytes(bytes), mean(tally), requests]);
  const purpose = columns >= WIDE ? `  ${paint.dim(PURPOSES[route])}` : '';
  const painted = wrong > 0 ? paint.bad(figures) : figures;
  return `${mark} ${paint.bold(labelOf(route).padEnd(NAME_WIDTH))}${painted}${purpose}`;
}

function drawOwn({ own }: GatewayDemonstration): string[] {
  if (!own) return ['the gateway: starts', ''];
  const { full, resumed, failed, connections, tunnels } = own;
  return [
    `the gateway: TLS handshakes ${count(full)} full, ${count(resumed)} resumed, ${count(failed)} failed`,
    `now open: ${count(connections)} connections, of which ${count(tunnels)} WebSockets`,
  ];
}

const NAME_WIDTH = 24;
const HEADINGS = ['right', 'wrong', 'bytes', 'mean', 'gateway'];
const WIDTHS = [8, 7, 10, 9, 9];
/** Columns from which on there is room for what a route is for. */
const WIDE = 99;

function cells(texts: readonly string[]): string {
  return texts.map((text, i) => text.padStart(WIDTHS[i]!)).join('');
}

function mean({ mean }: Tally): string {
  return mean === undefined ? '' : `${mean.toFixed(1)} ms`;
}

function count(number: number): string {
  return number.toLocaleString('en');
}

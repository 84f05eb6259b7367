import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { writeCertificate } from '../certificate.js';
import type { Demonstration } from '../demonstration.js';
import { Hop } from '../hop.js';
import type { Screen } from '../screen.js';
import { until } from '../until.js';
import { gatewayConfig } from './config.js';
import { ASSET } from './contents.js';
import type { Origin } from './origin.js';
import { openApp, openEvents } from './origins.js';
import { type OwnCounts, readOwnCounts } from './own-counts.js';
import { APP, EVENTS, labelOf, ROUTES, type RouteName } from './routes.js';
import { Tally } from './tally.js';
import { type Visitor, visitorsOf } from './visitors.js';

/** How long requests are sent. */
const RUN_MS = 8_000;
/** A request is counted after its client has the answer. */
const COUNT_MS = 2_000;
const POLL_MS = 250;
const ROUTE_NAMES = Object.keys(ROUTES) as RouteName[];

/** mproxy-gateway in front of two servers, with clients that visit all its routes and check each answer. */
export class GatewayDemonstration implements Demonstration {
  readonly hops = new Map<string, Hop>();
  readonly tallies = new Map(ROUTE_NAMES.map((route) => [route, new Tally()]));
  /** What the gateway counts, a moment ago. */
  own: OwnCounts | undefined;
  #visitors: Visitor[] = [];
  #status = '';
  #ended = false;
  readonly #origins: Origin[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'mproxy-demo-'));

  constructor(private readonly screen: Pick<Screen, 'hop' | 'text'>) {}

  async open(): Promise<void> {
    const authority = await writeCertificate(this.#folder, [APP, EVENTS]);
    mkdirSync(join(this.#folder, 'assets'));
    writeFileSync(join(this.#folder, 'assets', 'file.bin'), ASSET.bytes);
    for (const opening of [openApp, openEvents]) this.#origins.push(await opening());
    const [app, events] = this.#origins;
    const config = gatewayConfig(app!.url, events!.url);
    writeFileSync(join(this.#folder, 'gateway.json'), config);
    const gateway = this.#start(['--config', 'gateway.json', '--status-addr', '127.0.0.1:0']);
    this.screen.text(['', 'gateway.json:', ...config.trimEnd().split('\n')]);
    this.#status = await gateway.says(/status: (\S+)/);
    const [secure, plain] = await Promise.all(
      ['https', 'http'].map((scheme) => gateway.says(new RegExp(`listening: ${scheme} .*:(\\d+)\\n`))),
    );
    this.#visitors = visitorsOf({ secure: Number(secure), plain: Number(plain), authority });
  }

  async run(): Promise<void> {
    const counting = this.#poll();
    const end = performance.now() + RUN_MS;
    await Promise.all(this.#visitors.map((visitor) => this.#visit(visitor, end)));
    this.#leave();
    await until(() => this.#difference() === undefined, COUNT_MS);
    this.#ended = true;
    await counting;
    await this.hops.get('gateway')!.stop();
  }

  result(): { good: boolean; lines: string[] } {
    const tallies = [...this.tallies.values()];
    const sum = (key: 'right' | 'wrong') => tallies.reduce((all, tally) => all + tally[key], 0);
    const wrong = sum('wrong');
    const all = sum('right') + wrong;
    const problems = [...this.tallies].flatMap(([route, { problem, wrong }]) =>
      problem === undefined
        ? []
        : `${labelOf(route)}: ${wrong.toLocaleString('en')} wrong; first: ${problem}`,
    );
    const difference = this.#difference();
    if (difference) problems.push(difference);
    const verdict =
      wrong === 0
        ? `All ${all.toLocaleString('en')} answers were right.`
        : `${wrong.toLocaleString('en')} of ${all.toLocaleString('en')} answers were wrong.`;
    return { good: problems.length === 0, lines: [...problems, verdict] };
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#leave();
    await Promise.all([...this.hops.values()].map((hop) => hop.stop()));
    for (const origin of this.#origins) origin.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #start(args: string[]): Hop {
    if (this.#ended) throw new Error('closed');
    const hop = new Hop('gateway', args, this.#folder);
    this.hops.set('gateway', hop);
    this.screen.hop(hop);
    return hop;
  }

  async #visit({ route, visit, pauseMs }: Visitor, end: number): Promise<void> {
    const tally = this.tallies.get(route)!;
    do {
      try {
        await visit(tally);
      } catch (error) {
        tally.fail(`no answer: ${(error as Error).message}`);
        await wait(POLL_MS);
      }
      await wait(pauseMs);
    } while (performance.now() < end && !this.#ended);
  }

  #leave(): void {
    for (const visitor of this.#visitors) visitor.close();
  }

  async #poll(): Promise<void> {
    while (!this.#ended) {
      // While the gateway is busy or gone, the counts stay those of before.
      this.own = await readOwnCounts(this.#status).catch(() => this.own);
      await wait(POLL_MS);
    }
  }

  /** Where the gateway has counted other than its clients. */
  #difference(): string | undefined {
    for (const [route, { requests }] of this.tallies) {
      const own = this.own?.requests(route) ?? 0;
      if (own !== requests) return `${labelOf(route)}: the gateway counted ${own} requests of ${requests}`;
    }
    return undefined;
  }
}

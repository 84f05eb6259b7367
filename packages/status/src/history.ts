import type { Snapshot } from './messages.js';

/** The history of each route: this many steps of this many seconds, 15 minutes. */
const STEP_SECONDS = 5;
const STEPS = 180;

interface RouteHistory {
  source: EndpointHistory;
  sinks: EndpointHistory[];
}

/** What each source received, what each sink sent, and what each of them lost, in each step. */
export class History {
  readonly #routes: RouteHistory[] = [];
  #seconds = 0;
  /** When the last step ended. */
  #time = new Date();

  /** Called once a second. */
  look({ stats: { routes }, losses }: Snapshot): void {
    if (this.#seconds++ % STEP_SECONDS !== 0) return;
    this.#time = new Date();
    const lost = new Map<string, number>();
    for (const { endpoint, amount } of losses) lost.set(endpoint, (lost.get(endpoint) ?? 0) + amount);
    for (const [i, { source, sinks }] of routes.entries()) {
      this.#routes[i] ??= {
        source: new EndpointHistory(source),
        sinks: sinks.map((sink) => new EndpointHistory(sink)),
      };
      const route = this.#routes[i];
      route.source.add(source.datagrams, lost);
      for (const [j, sink] of sinks.entries()) route.sinks[j]!.add(sink.datagrams, lost);
    }
  }

  /** In each list the oldest step comes first. */
  toJSON() {
    const routes = this.#routes.map(({ source, sinks }) => ({
      source: { name: source.name, received: source.datagrams.list(), lost: source.lost.list() },
      sinks: sinks.map(({ name, datagrams, lost }) => ({ name, sent: datagrams.list(), lost: lost.list() })),
    }));
    return { time: this.#time, stepSeconds: STEP_SECONDS, steps: STEPS, routes };
  }
}

class EndpointHistory {
  readonly name: string;
  readonly datagrams: Steps;
  readonly lost = new Steps(0);

  constructor({ name, datagrams }: { name: string; datagrams: number }) {
    this.name = name;
    this.datagrams = new Steps(datagrams);
  }

  add(datagrams: number, lost: ReadonlyMap<string, number>): void {
    this.datagrams.add(datagrams);
    this.lost.add(lost.get(this.name) ?? 0);
  }
}

/** The increments of a counter. */
class Steps {
  readonly #steps = new Float64Array(STEPS);
  #next = 0;
  #length = 0;

  constructor(private total: number) {}

  add(total: number): void {
    this.#steps[this.#next] = total - this.total;
    this.total = total;
    this.#next = (this.#next + 1) % STEPS;
    this.#length = Math.min(this.#length + 1, STEPS);
  }

  /** The oldest first. */
  list(): number[] {
    const from = this.#next - this.#length;
    return Array.from({ length: this.#length }, (_, i) => this.#steps[(from + i + STEPS) % STEPS]!);
  }
}

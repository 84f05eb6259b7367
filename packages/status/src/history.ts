import type { Snapshot } from './messages.js';

/** The history of each route: this many steps of this many seconds, 15 minutes. */
const STEP_SECONDS = 5;
const STEPS = 180;

/** What each route received and lost in each step, the last one at the end. */
export class History {
  readonly #routes: { received: Steps; lost: Steps }[] = [];
  #seconds = 0;

  /** Called once a second. */
  look({ stats: { routes }, losses }: Snapshot): void {
    if (this.#seconds++ % STEP_SECONDS !== 0) return;
    const lost = new Map<string, number>();
    for (const { endpoint, count } of losses) lost.set(endpoint, (lost.get(endpoint) ?? 0) + count);
    for (const [i, { source, sinks }] of routes.entries()) {
      this.#routes[i] ??= { received: new Steps(source.datagrams), lost: new Steps(0) };
      const names = new Set([source.name, ...sinks.map(({ name }) => name)]);
      this.#routes[i].received.add(source.datagrams);
      this.#routes[i].lost.add([...names].reduce((sum, name) => sum + (lost.get(name) ?? 0), 0));
    }
  }

  toJSON() {
    const routes = this.#routes.map(({ received, lost }) => ({
      received: received.list(),
      lost: lost.list(),
    }));
    return { stepSeconds: STEP_SECONDS, steps: STEPS, routes };
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

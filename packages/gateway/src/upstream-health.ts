import { HEALTH_CELLS, Health } from 'mproxy-service/http/client-health';

/** The health of all upstreams, in memory that workers share. */
export class UpstreamHealth {
  readonly #all: readonly Health[];

  /** @param memory of another thread's; default: new memory */
  constructor(
    count: number,
    readonly memory = new SharedArrayBuffer(count * HEALTH_CELLS * Int32Array.BYTES_PER_ELEMENT),
  ) {
    this.#all = Array.from({ length: count }, (_, i) => new Health(this.cells(i)));
  }

  isUp(upstream: number): boolean {
    return !this.#all[upstream]!.isOut;
  }

  cells(upstream: number): Int32Array {
    const bytes = HEALTH_CELLS * Int32Array.BYTES_PER_ELEMENT;
    return new Int32Array(this.memory, upstream * bytes, HEALTH_CELLS);
  }
}

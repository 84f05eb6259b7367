import { reason } from '../errors.js';
import type { Service } from '../service.js';

/** Something that fails again and again, and is told once until it works again. */
export class Trouble {
  #error: Error | undefined;

  constructor(
    private readonly service: Service,
    private readonly what: string,
    private readonly path: string,
    private readonly advice: string,
  ) {}

  failed(error: unknown): void {
    const { what, path, advice } = this;
    const why = reason(error);
    if (!this.#error || reason(this.#error) !== why) this.service.loss(`${what}: ${path}: ${why}; ${advice}`);
    this.#error = error as Error;
  }

  over(): void {
    if (this.#error) this.service.notice(`${this.what}: ${this.path}: goes on`);
    this.#error = undefined;
  }

  /** The program ends with it, where it still is. */
  conclude(): void {
    if (this.#error) this.service.fail('MPROXY_WRITE', this.what, this.path, this.#error);
  }
}

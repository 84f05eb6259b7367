import { reason } from 'mproxy-base';
import type { Program } from '../../../program.js';
import { TASK_FAILED, TASK_RESUMED } from '../events.js';

/** A recurring failure, reported once until the operation succeeds again. */
export class Trouble {
  #error: Error | undefined;

  constructor(
    private readonly program: Program,
    private readonly what: string,
    private readonly path: string,
    private readonly advice: string,
  ) {}

  failed(error: unknown): void {
    const { what: task, path: file, advice } = this;
    const why = reason(error);
    if (!this.#error || reason(this.#error) !== why)
      this.program.emit(TASK_FAILED, { task, file, reason: why, advice });
    this.#error = error as Error;
  }

  over(): void {
    if (this.#error) this.program.emit(TASK_RESUMED, { task: this.what, file: this.path });
    this.#error = undefined;
  }

  /** Makes the program fail if the failure persists. */
  conclude(): void {
    if (this.#error) this.program.fail('MPROXY_WRITE', this.what, this.path, this.#error);
  }
}

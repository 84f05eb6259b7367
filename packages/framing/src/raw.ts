import { Cutter } from './cutter.js';

/** `raw`: pieces of `payload` bytes. An unfinished piece waits until {@link finish}. */
export class RawCutter extends Cutter {
  protected readonly endsLines = false;

  protected cutFull(): void {
    const count = Math.floor(this.pending / this.payload);
    if (count > 0) this.emitNext(this.payload, count);
  }

  protected cutIdle(): void {}
}

import { Cutter } from './cutter.js';

/** `raw`: every `payload` bytes, whatever they are. An unfinished piece waits until {@link finish}. */
export class RawCutter extends Cutter {
  protected readonly endsLines = false;

  protected cutFull(): void {
    while (this.pending >= this.payload) this.emitNext(this.payload);
  }

  protected cutIdle(): void {}
}

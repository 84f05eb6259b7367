import { Cutter, MAX_DATAGRAM } from './cutter.js';

/** `lines`, `nul`, `cr`: as many whole records as fit a datagram. A longer record is sent alone. */
export class LinesCutter extends Cutter {
  protected readonly endsLines = true;

  protected cutFull(): void {
    while (this.pending > this.payload) {
      // Backwards from the size limit: one search per datagram, however many lines it contains.
      const full = this.start + this.payload;
      const last = this.searched < full ? this.slab.lastIndexOf(this.delimiter, full - 1) : -1;
      if (last >= this.start) this.emitNext(last + 1 - this.start);
      else if (!this.#cutLongLine()) return;
    }
  }

  protected cutIdle(): void {
    if (this.pending === 0 || this.pending > this.payload || this.lineLength(this.start) < 0) return;
    this.emitNext(this.slab.lastIndexOf(this.delimiter, this.end - 1) + 1 - this.start);
  }

  /** @returns false while the line is unfinished and may still fit a datagram */
  #cutLongLine(): boolean {
    const length = this.lineLength(this.start + this.payload);
    if (length < 0 && this.pending <= MAX_DATAGRAM) return false;
    this.emitNext(length < 0 ? MAX_DATAGRAM : Math.min(length, MAX_DATAGRAM));
    return true;
  }
}

import { Cutter, MAX_DATAGRAM } from './cutter.js';

/** `line`: one line per datagram, with its newline. Only a line longer than a datagram can be is split. */
export class LineCutter extends Cutter {
  protected readonly endsLines = true;

  protected cutFull(): void {
    while (this.pending > 0) {
      const length = this.lineLength(this.start);
      if (length < 0 && this.pending <= MAX_DATAGRAM) return;
      this.emitNext(length < 0 ? MAX_DATAGRAM : Math.min(length, MAX_DATAGRAM));
    }
  }

  protected cutIdle(): void {}
}

/** Lengths whose view is kept. */
const KEPT = 4096;

/** Views of the first bytes of a buffer. Those of few bytes are made once: to make one costs as much as to copy some hundred bytes. */
export class Prefixes {
  readonly #views: (Buffer | undefined)[] = [];

  constructor(readonly buffer: Buffer) {}

  /** @param length at most that of the buffer */
  of(length: number): Buffer {
    if (length >= KEPT) return this.buffer.subarray(0, length);
    const view = this.#views[length];
    if (view !== undefined) return view;
    while (this.#views.length < length) this.#views.push(undefined);
    this.#views[length] = this.buffer.subarray(0, length);
    return this.#views[length];
  }
}

/** The part of koffi's API in use. */
export interface Koffi {
  /** `null`: the symbols of this process, including those of its C library. */
  load(path: null): { func(prototype: string): unknown };
  errno(): number;
  address(buffer: Buffer): bigint;
  /** A function that C can call in this thread, for good. Pointers arrive as numbers where their type is uintptr_t. */
  register(callback: (...values: never[]) => number, type: unknown): bigint;
  pointer(type: unknown): unknown;
  proto(result: string, values: readonly string[]): unknown;
}

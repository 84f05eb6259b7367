/** What is used of koffi. */
export interface Koffi {
  /** `null`: the symbols of this process, and so of its C library, whichever that is. */
  load(path: null): { func(prototype: string): unknown };
  errno(): number;
  address(buffer: Buffer): bigint;
}

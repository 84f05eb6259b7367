/** The part of koffi's API in use. */
export interface Koffi {
  /** `null`: the symbols of this process, including those of its C library. */
  load(path: null): { func(prototype: string): unknown };
  errno(): number;
  address(buffer: Buffer): bigint;
}

/** The number of a worker's thread, as ThreadDescriptors has it: 0 is none. */
export function threadNumber(worker: number): number {
  return worker + 1;
}

import type { HeadScanner } from './scan-results.js';
import { JsScanner } from './scanner-js.js';

let scanner: HeadScanner | undefined;

/** The scanner of this thread. */
export function headScanner(): HeadScanner {
  scanner ??= new JsScanner();
  return scanner;
}

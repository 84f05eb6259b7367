import type { HeadScanner } from './scan-results.js';
import { JsScanner } from './scanner-js.js';
import { WasmScanner } from './scanner-wasm.js';

let scanner: HeadScanner | undefined;

/** The scanner of this thread: in WebAssembly where there are vectors, and memory for it. */
export function headScanner(): HeadScanner {
  scanner ??= makeScanner();
  return scanner;
}

function makeScanner(): HeadScanner {
  try {
    return new WasmScanner();
  } catch {
    // Older processors, and processes whose addresses are limited (ulimit -v).
    return new JsScanner();
  }
}

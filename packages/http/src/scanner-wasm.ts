import { CLASS, FOLD, TOKEN } from './bytes.js';
import { BY_SLOT, NAMES, PREFIX } from './known-names.js';
import { DONE, type HeadScanner, judged, MORE, ROW, TOO_MANY } from './scan-results.js';
import { SCANNER } from './scanner.wasm.js';
import { JsScanner } from './scanner-js.js';

/** Exports of scanner.wat. Positions are bytes of its memory. */
interface Exports {
  scan(at: number, end: number, max: number): number;
  at(): number;
  wrong(): number;
  count(): number;
  known(): number;
}

/** The part of the WebAssembly API in use (webassembly.github.io/spec/js-api), which Node's types omit. */
declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
  Module: new (code: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Exports };
};

/** Where scanner.wat has its tables. */
const AT = { low: 0, high: 16, prefix: 32, lengths: 64, fold: 256, slots: 512, names: 1024, rows: 4096 };
const PAGE = 65_536;
/** Rows that have room. */
const ROWS = Math.floor((PAGE - AT.rows) / (ROW * 4));
/** There are more than that many. */
const FULL = 7;
/** Bytes that are copied and scanned at once, at first and at most. */
const WINDOW = 2048;
const MOST = PAGE - 64;

/** The scanner of scanner.wat, in a memory of its own, into which it copies what it scans. */
export class WasmScanner implements HeadScanner {
  at = 0;
  known = 0;
  readonly #text: Uint8Array;
  readonly #rows: Int32Array;
  readonly #exports: Exports;
  /** For lines longer than {@link MOST}. */
  readonly #other = new JsScanner();

  /** @throws an Error where there is no WebAssembly with vectors, or no memory for it */
  constructor() {
    const module = new WebAssembly.Module(Buffer.from(SCANNER, 'base64'));
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
    this.#exports = new WebAssembly.Instance(module, { mproxy: { memory } }).exports;
    this.#text = new Uint8Array(memory.buffer, PAGE);
    this.#rows = new Int32Array(memory.buffer, AT.rows, ROWS * ROW);
    fillTables(new Uint8Array(memory.buffer));
  }

  scan(bytes: Uint8Array, from: number, end: number, rows: number[], limit: number): number {
    const wasm = this.#exports;
    let at = from;
    let known = 0;
    let window = WINDOW;
    let result: number;
    for (;;) {
      const to = Math.min(end, at + window);
      this.#text.set(at === 0 && to === bytes.length ? bytes : bytes.subarray(at, to));
      const max = Math.min(ROWS, (limit - rows.length) / ROW);
      result = wasm.scan(PAGE, PAGE + to - at, max);
      const moved = at - PAGE;
      this.#take(rows, wasm.count(), moved);
      known |= wasm.known();
      const start = at;
      at = wasm.at() + moved;
      if (result === DONE) break;
      if (result === FULL) {
        if (rows.length < limit) continue;
        result = TOO_MANY;
        break;
      }
      if (result !== MORE) {
        result = judged(bytes, wasm.wrong() + moved, end, result);
        break;
      }
      if (to === end) break;
      // A line that is longer than what was copied.
      if (at === start) window *= 2;
      if (window > MOST) {
        result = this.#other.scan(bytes, at, end, rows, limit);
        at = this.#other.at;
        known |= this.#other.known;
        break;
      }
    }
    this.at = at;
    this.known = known;
    return result;
  }

  #take(rows: number[], count: number, moved: number): void {
    const found = this.#rows;
    for (let at = 0; at < count * ROW; at += ROW) {
      rows.push(
        found[at]! + moved,
        found[at + 1]! + moved,
        found[at + 2]! + moved,
        found[at + 3]! + moved,
        found[at + 4]!,
      );
    }
  }
}

function fillTables(memory: Uint8Array): void {
  for (let low = 0; low < 16; low++) {
    for (let high = 0; high < 8; high++)
      if (CLASS[(high << 4) | low]! & TOKEN) memory[AT.low + low]! |= 1 << high;
    memory[AT.high + low] = low < 8 ? 1 << low : 0;
  }
  memory.set(FOLD, AT.fold);
  memory.set(BY_SLOT, AT.slots);
  memory.set(Buffer.from(PREFIX), AT.prefix);
  for (const [id, name] of NAMES.entries()) {
    memory[AT.lengths + id] = name.length;
    memory.set(Buffer.from(name), AT.names + id * 32);
  }
}

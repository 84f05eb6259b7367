import { CLASS, FOLD, TOKEN } from './bytes.js';
import { BY_SLOT, NAMES, PREFIX } from './known-names.js';
import { DONE, type HeadScanner, judged, MORE, ROW, TOO_MANY } from './scan-results.js';
import { SCANNER } from './scanner.wasm.js';
import { JsScanner } from './scanner-js.js';

/** Exports of scanner.wat. Positions are bytes of its memory. */
interface Exports {
  scan(at: number, end: number, max: number): number;
}

/** The part of the WebAssembly API in use (webassembly.github.io/spec/js-api), which Node's types omit. */
declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
  Module: new (code: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Exports };
};

/** Where scanner.wat has its tables. */
const AT = { low: 0, high: 16, prefix: 32, lengths: 64, fold: 256, slots: 512, names: 1024, rows: 4096 };
/** Before the rows, integers: where the scan stopped, the byte that is wrong, the number of rows, a bit for each known name. */
const OUTCOME = 16;
const PAGE = 65_536;
/** Rows that have room. */
const ROWS = Math.floor((PAGE - AT.rows) / (ROW * 4));
/** There are more than that many. */
const FULL = 7;
/** Bytes that are copied and scanned at once, at first and at most. */
const WINDOW = 2048;
const MOST = PAGE - 1024;
/** Bytes before them that are copied, too, at most. */
const NEAR = 512;

/** The scanner of scanner.wat, in a memory of its own, into which it copies what it scans. */
export class WasmScanner implements HeadScanner {
  at = 0;
  known = 0;
  rows: number[] = [];
  readonly #text: Uint8Array;
  /** What scanner.wat found: at, wrong, count, known; then the rows. */
  readonly #found: Int32Array;
  readonly #exports: Exports;
  /** The rows while they are copied: it has room, and `slice` makes an array of the right size. */
  readonly #rows: number[] = [];
  /** For lines longer than {@link MOST}. */
  readonly #other = new JsScanner();

  /** @throws an Error where there is no WebAssembly with vectors, or no memory for it */
  constructor() {
    const module = new WebAssembly.Module(Buffer.from(SCANNER, 'base64'));
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
    this.#exports = new WebAssembly.Instance(module, { mproxy: { memory } }).exports;
    this.#text = new Uint8Array(memory.buffer, PAGE);
    this.#found = new Int32Array(memory.buffer, AT.rows - OUTCOME);
    fillTables(new Uint8Array(memory.buffer));
  }

  scan(bytes: Uint8Array, from: number, end: number, limit: number): number {
    const found = this.#found;
    let at = from;
    let known = 0;
    let count = 0;
    let window = WINDOW;
    let result: number;
    for (;;) {
      const to = Math.min(end, at + window);
      // To copy a short line before them, too, takes less time than to make a view.
      const isWhole = at < NEAR && to === bytes.length;
      this.#text.set(isWhole ? bytes : bytes.subarray(at, to));
      const from = isWhole ? PAGE + at : PAGE;
      result = this.#exports.scan(from, from + to - at, Math.min(ROWS, limit - count));
      const moved = at - from;
      this.#take(count, found[2]!, moved);
      count += found[2]!;
      known |= found[3]!;
      const start = at;
      at = found[0]! + moved;
      if (result === DONE) break;
      if (result === FULL) {
        if (count < limit) continue;
        result = TOO_MANY;
        break;
      }
      if (result !== MORE) {
        result = judged(bytes, found[1]! + moved, end, result);
        break;
      }
      if (to === end) break;
      // A line that is longer than what was copied.
      if (at === start) window *= 2;
      if (window > MOST) return this.#scanLong(bytes, at, end, limit, count, known);
    }
    this.at = at;
    this.known = known;
    this.rows = this.#rows.slice(0, count * ROW);
    return result;
  }

  #take(before: number, count: number, moved: number): void {
    const found = this.#found;
    const rows = this.#rows;
    let row = before * ROW;
    for (let at = 4; at < 4 + count * ROW; at += ROW) {
      rows[row] = found[at]! + moved;
      rows[row + 1] = found[at + 1]! + moved;
      rows[row + 2] = found[at + 2]! + moved;
      rows[row + 3] = found[at + 3]! + moved;
      rows[row + 4] = found[at + 4]!;
      row += ROW;
    }
  }

  #scanLong(bytes: Uint8Array, at: number, end: number, limit: number, count: number, known: number): number {
    const result = this.#other.scan(bytes, at, end, limit - count);
    this.at = this.#other.at;
    this.known = known | this.#other.known;
    this.rows = [...this.#rows.slice(0, count * ROW), ...this.#other.rows];
    return result;
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

// undici's llhttp: another strict parser, whose answers are facts to compare with.
import { createRequire } from 'node:module';

interface Exports {
  memory: { buffer: ArrayBuffer };
  _initialize(): void;
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  malloc(size: number): number;
  free(pointer: number): void;
  llhttp_execute(parser: number, data: number, length: number): number;
  llhttp_get_error_reason(parser: number): number;
}

declare const WebAssembly: {
  Module: new (code: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: Exports };
};

const REQUEST = 1;
const RESPONSE = 2;

export interface Answer {
  /** Undefined: it has none. */
  error: string | undefined;
  /** The bodies of the messages that began, those that have not ended too. */
  bodies: string[];
  /** Messages that ended. */
  complete: number;
}

/** What llhttp makes of bytes. */
export class Llhttp {
  readonly #exports: Exports;
  #answer: Answer = { error: undefined, bodies: [], complete: 0 };

  constructor() {
    const code: Uint8Array = createRequire(import.meta.url)('undici/lib/llhttp/llhttp-wasm.js');
    const nothing = () => 0;
    const env = {
      wasm_on_message_begin: nothing,
      wasm_on_url: nothing,
      wasm_on_status: nothing,
      wasm_on_header_field: nothing,
      wasm_on_header_value: nothing,
      wasm_on_headers_complete: () => {
        this.#answer.bodies.push('');
        return 0;
      },
      wasm_on_body: (_: number, at: number, length: number) => {
        const body = Buffer.from(this.#exports.memory.buffer, at, length).toString('latin1');
        this.#answer.bodies.push(`${this.#answer.bodies.pop()}${body}`);
        return 0;
      },
      wasm_on_message_complete: () => {
        this.#answer.complete++;
        return 0;
      },
    };
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(code), { env }).exports;
    this.#exports._initialize();
  }

  read(kind: 'request' | 'response', bytes: Uint8Array): Answer {
    const wasm = this.#exports;
    this.#answer = { error: undefined, bodies: [], complete: 0 };
    const parser = wasm.llhttp_alloc(kind === 'request' ? REQUEST : RESPONSE);
    const data = wasm.malloc(bytes.length + 1);
    new Uint8Array(wasm.memory.buffer, data).set(bytes);
    if (wasm.llhttp_execute(parser, data, bytes.length) !== 0) {
      const memory = Buffer.from(wasm.memory.buffer);
      const reason = wasm.llhttp_get_error_reason(parser);
      this.#answer.error = memory.toString('latin1', reason, memory.indexOf(0, reason));
    }
    wasm.free(data);
    wasm.llhttp_free(parser);
    return this.#answer;
  }
}

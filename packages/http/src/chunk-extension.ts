import { CLASS, TOKEN, VALUE } from './bytes.js';

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

type State = 'name' | 'in name' | 'value' | 'in value' | 'quoted' | 'escaped' | 'ended';

/**
 * The form of chunk extensions: `;name`, `;name=token` or `;name="quoted"`, any number of them (RFC 9112, section 7.1.1), without the
 * white space that it tolerates. A line end is never part of a quoted value.
 */
export class ChunkExtension {
  #state: State = 'ended';

  /** The line may end here. */
  get isWhole(): boolean {
    return this.#state === 'ended' || this.#state === 'in name' || this.#state === 'in value';
  }

  /** @returns whether a byte may stand here */
  take(byte: number): boolean {
    const next = this.#next(byte);
    if (next) this.#state = next;
    return next !== undefined;
  }

  #next(byte: number): State | undefined {
    const bits = CLASS[byte]!;
    switch (this.#state) {
      case 'name':
        return bits & TOKEN ? 'in name' : undefined;
      case 'value':
        if (byte === QUOTE) return 'quoted';
        return bits & TOKEN ? 'in value' : undefined;
      case 'quoted':
        if (byte === QUOTE) return 'ended';
        if (byte === BACKSLASH) return 'escaped';
        return bits & VALUE ? 'quoted' : undefined;
      case 'escaped':
        return bits & VALUE ? 'quoted' : undefined;
    }
    if (byte === SEMICOLON) return 'name';
    if (this.#state === 'in name' && byte === EQUALS) return 'value';
    return this.#state !== 'ended' && bits & TOKEN ? this.#state : undefined;
  }
}

import { type HeadLimits, RequestParser } from 'mproxy-http';

/** A parser for heads that come whole, as nearly all do. Connections with an incomplete one have their own meanwhile. */
export class ParserPool {
  #spare: RequestParser | undefined;

  constructor(private readonly limits: HeadLimits) {}

  take(): RequestParser {
    const parser = this.#spare ?? new RequestParser({ limits: this.limits });
    this.#spare = undefined;
    return parser;
  }

  /** Gives back one that has read a whole head. */
  put(parser: RequestParser): void {
    this.#spare = parser;
  }
}

import type { HeadLimits } from 'mproxy-http';
import { RequestParser } from 'mproxy-http/request-parser';

/** A parser for heads that come whole, as nearly all do. Connections with an incomplete one have their own meanwhile. */
export class ParserPool {
  #spare: RequestParser | undefined;

  constructor(private readonly limits: HeadLimits) {}

  take(): RequestParser {
    const parser = this.#spare ?? new RequestParser({ limits: this.limits });
    this.#spare = undefined;
    return parser;
  }

  /** Gives back one whose head was whole, or invalid. */
  put(parser: RequestParser): void {
    this.#spare = parser;
  }
}

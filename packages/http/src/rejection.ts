/** A message that is not read on: what to answer, and why. The connection closes. */
export class Rejection {
  constructor(
    /** Of the answer to a request: 400, 405, 414, 431, 501, 505; of a response always 502. */
    readonly status: number,
    /** One line, without bytes of the peer. */
    readonly reason: string,
    /** With 405: the value of Allow. */
    readonly allow?: string,
  ) {}
}

export interface HeadLimits {
  /** Bytes of the request line or status line, with its end. Default: 8 KiB. Longer: 414. */
  readonly line: number;
  /** Bytes of the field lines, with the empty line that ends them. Default: 32 KiB. More: 431. */
  readonly section: number;
  /** Field lines. Default: 100. More: 431. */
  readonly fields: number;
}

export const HEAD_LIMITS: HeadLimits = { line: 8192, section: 32_768, fields: 100 };

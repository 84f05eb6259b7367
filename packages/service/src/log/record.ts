import type { HttpContext, HttpVersion } from '../http/message.js';

/** What a line of an access log has of a request, as it came. */
export interface LogRecord {
  method: string;
  /** Undefined: it could not be read. */
  version: HttpVersion | undefined;
  host: string;
  /** The path with its query. */
  target: string;
  referer: string | undefined;
  userAgent: string | undefined;
}

/** What became known of it later. */
export type LogChoice = Pick<HttpContext, 'client' | 'route' | 'upstream' | 'retries'>;

/** `HTTP/1.1`, as logs name it. */
export function protocol(version: HttpVersion | undefined): string {
  return version === undefined ? '-' : version === '2' ? 'HTTP/2.0' : `HTTP/${version}`;
}

import type { Fields } from 'mproxy-http';
import type { Upload } from './client-upload.js';
import type { HttpRequest, HttpResponse } from './message.js';

/** Why a request has no response from a connection. */
export interface Failure {
  /** `closed`: there was no response; `invalid`: it cannot be read, or is not whole; `broken`: the body of the request is not. */
  kind: 'closed' | 'late' | 'invalid' | 'broken';
  /** Whether bytes of the request were sent. */
  sent: boolean;
  /** Whether bytes of a response have arrived: an interim one, or a part. */
  answered: boolean;
  /** Whether an earlier request was sent on the connection. */
  reused: boolean;
  error: Error | undefined;
}

/** A request on a connection. One of {@link onResponse} and {@link onFailure} is called, once. */
export interface Call {
  readonly request: HttpRequest;
  readonly upload: Upload | undefined;
  /** Sent before the request: a PROXY header. No other request follows it. */
  readonly before: Uint8Array | undefined;
  onInform(status: number, fields: Fields): void;
  /** A response began: its fields and its body borrow bytes of this call. */
  onResponse(response: HttpResponse): void;
  onFailure(failure: Failure): void;
}

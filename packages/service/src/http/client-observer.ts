/** What became of an attempt to have a request answered by an upstream. */
export type AttemptResult =
  /** A response began, whatever its status. */
  | 'answered'
  /** It was not connected: refused, unreachable, no address, or too late. */
  | 'unconnected'
  /** The connection ended before a response. */
  | 'closed'
  /** No response came in time. */
  | 'late'
  /** The response could not be read. */
  | 'invalid'
  /** Nobody waited for it any more. */
  | 'cancelled';

/** Takes the events of a client. An upstream is its number among {@link HttpClientOptions.upstreams}. */
export interface ClientObserver {
  onAttempt?(upstream: number, result: AttemptResult): void;
  /** It could not be connected to: why. With TLS, it is not verified, or does not accept this side. The client is told no more than that. */
  onConnectError?(upstream: number, error: Error): void;
  /** A request is tried again. */
  onRetry?(upstream: number): void;
  /** A request was refused, as too many wait. */
  onQueueFull?(upstream: number): void;
  /** An upstream is ejected, or has returned. */
  onHealth?(upstream: number, up: boolean): void;
}

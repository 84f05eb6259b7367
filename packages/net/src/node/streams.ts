import { loadedLater, type StreamOpeners } from '../stream-openers.js';
import type { Streams, StreamTimer } from '../streams.js';
import type { Unacknowledged } from './connection.js';

/** Stream sockets on node:net and node:tls. */
export function nodeStreams(unacknowledged?: Unacknowledged): Streams & StreamOpeners {
  return {
    ...loadedLater(async () => (await import('./open-streams.js')).nodeOpeners(unacknowledged)),
    timer: (onDue) => new NodeTimer(onDue),
  };
}

class NodeTimer implements StreamTimer {
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly onDue: () => void) {}

  set(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.onDue, ms).unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

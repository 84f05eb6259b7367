import type { ServerResponse } from 'node:http';

/** Limit on what is queued for a reader, in bytes: beyond it, or after this time without progress, it is disconnected. */
const QUEUE_LIMIT = 1024 * 1024;
const STALLED_MS = 10_000;

interface Reader {
  response: ServerResponse;
  /** When its queue was last empty. */
  emptyAt: number;
}

/** The readers of `/events` (server-sent events, HTML section 9.2). None is waited for. */
export class EventStream {
  readonly #readers = new Set<Reader>();

  get isRead(): boolean {
    return this.#readers.size > 0;
  }

  add(response: ServerResponse): void {
    const reader = { response, emptyAt: Date.now() };
    this.#readers.add(reader);
    response.on('close', () => this.#readers.delete(reader));
  }

  /** An event that every reader gets. */
  send(event: string, data: string): void {
    for (const { response } of this.#readers) {
      if (response.writableLength > QUEUE_LIMIT) response.destroy();
      else response.write(message(event, data));
    }
  }

  /** The present state: a reader that has not taken the last one does not get it. Called once a second. */
  sendState(event: string, data: string): void {
    const now = Date.now();
    for (const reader of this.#readers) {
      const { response, emptyAt } = reader;
      if (response.writableLength === 0) {
        reader.emptyAt = now;
        response.write(message(event, data));
      } else if (now - emptyAt > STALLED_MS) response.destroy();
    }
  }

  close(): void {
    for (const { response } of this.#readers) response.destroy();
  }
}

export function message(event: string, data: string): string {
  return `event: ${event}\ndata: ${data}\n\n`;
}

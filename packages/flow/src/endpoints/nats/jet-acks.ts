import { Progress } from 'mproxy-net';
import type { Client } from './client.js';

/** Messages of a durable consumer, from their receipt until they are acknowledged: when the sinks have stored them. */
export class JetAcks {
  /** Reply subjects of messages that are not stored, by their numbers in the stream. */
  #held = new Map<number, string>();
  /** Numbers of those of them that the sinks have not taken. */
  #received: number[] = [];
  /** Reply subjects of messages that are stored. */
  #stored: string[] = [];
  #renewedAt = performance.now();
  readonly #progress = new Progress();

  constructor(private readonly client: Client) {}

  /** A message is received; again, if the server had to wait for its acknowledgement. */
  add(sequence: number, reply: string): void {
    // An acknowledgement is known by the number in the stream: that to any of its deliveries will do.
    if (this.#held.has(sequence)) return;
    this.#held.set(sequence, reply);
    this.#received.push(sequence);
  }

  /** The sinks took everything that was received. @param stored resolves when they also stored it; undefined: they have */
  taken(stored: Promise<void> | undefined): void {
    const held = this.#held;
    const taken = this.#received;
    this.#received = [];
    if (taken.length === 0) return;
    const acknowledge = () => {
      if (held !== this.#held) return;
      for (const sequence of taken) {
        this.#stored.push(held.get(sequence)!);
        held.delete(sequence);
      }
      this.send();
    };
    if (stored) void stored.then(acknowledge);
    else acknowledge();
  }

  /** Acknowledges what is stored. Without a connection that has to wait for the next. */
  send(): void {
    if (!this.client.connection || this.#stored.length === 0) return;
    this.#publish('+ACK', this.#stored);
    this.#stored = [];
    this.#progress.advance();
  }

  /**
   * Called every second: keeps the server from sending what is held again. Another member of the consumer does not get it either.
   * @param ackWaitMs when it would
   */
  renew(ackWaitMs: number): void {
    const now = performance.now();
    if (now - this.#renewedAt < ackWaitMs / 3) return;
    this.#renewedAt = now;
    this.#publish('+WPI', [...this.#held.values()]);
  }

  /** The numbers are those of another stream from now on. */
  clear(): void {
    this.#held = new Map();
    this.#received = [];
    this.#stored = [];
    this.#progress.advance();
  }

  /** Resolves when everything is acknowledged. */
  async done(): Promise<void> {
    await this.#progress.until(() => this.#held.size + this.#stored.length === 0);
  }

  #publish(text: '+ACK' | '+WPI', replies: readonly string[]): void {
    const { connection } = this.client;
    if (!connection || replies.length === 0) return;
    const lines = replies.map((reply) => `PUB ${reply} ${text.length}\r\n${text}\r\n`).join('');
    connection.connection.write([Buffer.from(lines)]);
  }
}

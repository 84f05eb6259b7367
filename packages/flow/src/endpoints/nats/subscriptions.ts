import type { Message } from './protocol.js';
import type { ServerConnection } from './server-connection.js';

/** Messages of a subject, or of those that match its wildcards. */
export interface Subscription {
  subject: string;
  /** One member of a group gets each message. */
  queue?: string | undefined;
  /** The message is lent for the call. */
  onMessage(message: Message): void;
}

/** The subscriptions of a client, the same on each of its connections. */
export class Subscriptions {
  readonly #all = new Map<number, Subscription>();
  #last = 0;

  /** @returns its number (sid) */
  add(subscription: Subscription, connection: ServerConnection | undefined): number {
    const sid = ++this.#last;
    this.#all.set(sid, subscription);
    if (connection) begin(connection, sid, subscription);
    return sid;
  }

  remove(sid: number, connection: ServerConnection | undefined): void {
    this.#all.delete(sid);
    if (connection) end(connection, sid);
  }

  /** Subscribes on a new connection. */
  beginAll(connection: ServerConnection): void {
    for (const [sid, subscription] of this.#all) begin(connection, sid, subscription);
  }

  endAll(connection: ServerConnection): void {
    for (const sid of this.#all.keys()) end(connection, sid);
  }

  /** Passes a message to its subscription, unless that has ended. */
  onMessage(message: Message): void {
    this.#all.get(message.sid)?.onMessage(message);
  }
}

function begin(connection: ServerConnection, sid: number, { subject, queue }: Subscription): void {
  connection.send(`SUB ${subject}${queue === undefined ? '' : ` ${queue}`} ${sid}\r\n`);
}

function end(connection: ServerConnection, sid: number): void {
  connection.send(`UNSUB ${sid}\r\n`);
}

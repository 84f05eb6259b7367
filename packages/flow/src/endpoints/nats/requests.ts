import { randomBytes } from 'node:crypto';
import { showAddress, showDuration } from 'mproxy-base';
import type { Client } from './client.js';
import { encodePublish, type PublishOptions, statusOf } from './encoder.js';
import type { Message } from './protocol.js';

/** Status of a message that a server sends where a subject has no responders (NATS ADR-13). */
const NO_RESPONDERS = 503;
/** Limit on requests that wait for their answers. */
const MAX_REQUESTS = 1024;

/** The subject has no responders. */
export class NoResponders extends Error {}

/** An answer. */
export interface Response {
  headers: string;
  payload: Buffer;
}

interface Request {
  resolve(response: Response): void;
  reject(why: Error): void;
  timer: NodeJS.Timeout;
}

/** Requests of a client, and their answers: one inbox for all of them, a token of its subject for each. */
export class Requests {
  readonly #inbox = `_INBOX.${randomBytes(12).toString('hex')}`;
  readonly #open = new Map<string, Request>();
  #count = 0;

  constructor(private readonly client: Client) {
    client.subscribe({ subject: `${this.#inbox}.*`, onMessage: (message) => this.#answered(message) });
  }

  /** HOST:PORT that requests go to; empty: not connected. */
  get server(): string {
    const { connection } = this.client;
    return connection ? showAddress({ address: connection.server.host, port: connection.server.port }) : '';
  }

  /**
   * Sends a request. It is not sent again when the connection ends.
   * @param timeout in milliseconds
   * @throws without a connection, without an answer in time, or where the subject has no responders
   */
  send(
    subject: string,
    payload: Buffer,
    timeout: number,
    headers?: PublishOptions['headers'],
  ): Promise<Response> {
    const { connection } = this.client;
    if (!connection) return Promise.reject(new Error(`${subject}: not connected`));
    if (this.#open.size >= MAX_REQUESTS)
      return Promise.reject(new Error(`${subject}: limited to ${MAX_REQUESTS} requests at a time`));
    const token = String(++this.#count);
    const answer = new Promise<Response>((resolve, reject) => {
      const late = () =>
        this.#end(token)?.reject(new Error(`${subject}: no answer within ${showDuration(timeout)}`));
      this.#open.set(token, { resolve, reject, timer: setTimeout(late, timeout) });
    });
    const options = { reply: `${this.#inbox}.${token}`, ...(headers && { headers }) };
    connection.connection.write([encodePublish(subject, payload, options)]);
    return answer;
  }

  /** The connection ended: no answer comes any more. */
  abort(): void {
    for (const token of [...this.#open.keys()]) this.#end(token)!.reject(new Error('disconnected'));
  }

  #answered(message: Message): void {
    const request = this.#end(message.subject.slice(this.#inbox.length + 1));
    if (!request) return;
    const { headers } = message;
    if (statusOf(headers)?.code === NO_RESPONDERS)
      request.reject(new NoResponders('no responders: no program subscribes to the subject'));
    else request.resolve({ headers, payload: Buffer.from(message.payload) });
  }

  #end(token: string): Request | undefined {
    const request = this.#open.get(token);
    clearTimeout(request?.timer);
    this.#open.delete(token);
    return request;
  }
}

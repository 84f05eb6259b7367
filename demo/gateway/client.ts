import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest, Agent as TlsAgent } from 'node:https';

/** Time for an answer, its body included. */
export const ANSWER_MS = 4_000;

export interface Question {
  host: string;
  path: string;
  /** Sent by POST. */
  body?: Buffer;
  fields?: Record<string, string>;
}

/** An answer that arrived whole. */
export interface Received {
  status: number;
  fields: IncomingHttpHeaders;
  bytes: number;
  /** SHA-256 of the body, hexadecimal. */
  digest: string;
}

/** A client of one port on loopback, with connections of its own. */
export class Client {
  readonly #agent: Agent;

  /**
   * @param authority certificate to trust; without it connections are plain TCP
   * @param keeps whether connections are used again
   */
  constructor(
    readonly port: number,
    readonly authority: string | undefined,
    keeps = true,
  ) {
    const options = { keepAlive: keeps, maxSockets: 1 };
    this.#agent = authority ? new TlsAgent({ ...options, ca: authority }) : new Agent(options);
  }

  /** Sends a request. @returns the answer, whose body is to be read */
  async open({ host, path, body, fields }: Question): Promise<IncomingMessage> {
    const send = this.authority ? secureRequest : plainRequest;
    const request = send({
      ...{ host: '127.0.0.1', port: this.port, servername: host, agent: this.#agent },
      ...{ method: body ? 'POST' : 'GET', path, headers: { ...fields, host: `${host}:${this.port}` } },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  }

  /** Sends a request and reads its answer. */
  async ask(question: Question): Promise<Received> {
    const response = await this.open(question);
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    return { status: response.statusCode!, fields: response.headers, bytes, digest: hash.digest('hex') };
  }

  close(): void {
    this.#agent.destroy();
  }
}

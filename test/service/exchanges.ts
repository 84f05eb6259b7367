import { Fields } from 'mproxy-http';
import type { Streams } from 'mproxy-net';
import { Context } from 'mproxy-service/context';
import { Deadlines } from 'mproxy-service/deadlines';
import type { Body, BodySink } from 'mproxy-service/http/body';
import { type HttpClient, httpClient } from 'mproxy-service/http/client';
import type { HttpClientOptions } from 'mproxy-service/http/client-options';
import { HttpContext, HttpRequest, type HttpResponse, type HttpService } from 'mproxy-service/http/message';
import { whenDone } from 'mproxy-service/result';
import type { Test } from 'tap';
import { until } from '../support/wait.js';

/** A client that is closed at the end of the test. */
export function client(t: Test, streams: Streams, options: HttpClientOptions): HttpClient {
  const made = httpClient({ streams, deadlines: new Deadlines(streams), ...options });
  t.teardown(() => made.close());
  return made;
}

interface Parts {
  method: string;
  version: '1.0' | '1.1';
  path: string;
  query: string;
  authority: string;
  fields: Fields | Record<string, string>;
  body: Body | undefined;
  expectsContinue: boolean;
}

export function request(parts: Partial<Parts> = {}): HttpRequest {
  const { method = 'GET', version = '1.1', path = '/', query = '', authority = 'example.com' } = parts;
  const host = authority.replace(/:\d+$/, '');
  const fields = parts.fields instanceof Fields ? parts.fields : Fields.of(parts.fields ?? {});
  const { body, expectsContinue = false } = parts;
  return new HttpRequest(
    method,
    version,
    'http',
    authority,
    host,
    path,
    query,
    fields,
    body,
    expectsContinue,
  );
}

/** What a server knows of a request. */
export function context(
  facts: { peer?: string | undefined; connection?: Context } = {},
  informs: (status: number, fields: Fields) => void = () => undefined,
): HttpContext {
  const peer = 'peer' in facts ? facts.peer : '192.0.2.1';
  const connection =
    facts.connection ??
    new Context({
      peer: peer === undefined ? undefined : { address: peer, port: 4000 },
      local: { address: '192.0.2.2', port: 80 },
      tls: undefined,
      listener: 'test',
    });
  return new HttpContext(connection, informs);
}

/** What became of a request. */
export class Answer implements BodySink {
  response: HttpResponse | undefined;
  text = '';
  pieces = 0;
  trailers: Fields | undefined;
  /** `open`; `complete`; why it failed: before the response, or in its body. */
  end: 'open' | 'complete' | Error = 'open';
  /** What happens with each piece of the body. */
  onPiece: () => void = () => undefined;

  get status(): number | undefined {
    return this.response?.status;
  }

  /** Status and text, or status and error. */
  get shown(): string {
    return `${this.status} ${this.end === 'complete' ? this.text : String(this.end)}`.trim();
  }

  field(name: string): string | undefined {
    return this.response?.fields.get(name);
  }

  onData(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString('latin1');
    this.pieces++;
    this.onPiece();
  }

  onEnd(trailers?: Fields): void {
    this.trailers = trailers;
    this.end = 'complete';
  }

  onError(error: Error): void {
    this.end = error;
  }

  async ended(ms?: number): Promise<this> {
    await until('the end of a response', () => this.end !== 'open', ms);
    return this;
  }

  async begun(): Promise<this> {
    await until('a response', () => this.response !== undefined || this.end !== 'open');
    return this;
  }
}

/** Calls a service, and reads the response in the call in which it comes, as a server does. */
export function ask(
  service: HttpService,
  what: HttpRequest = request(),
  how: HttpContext = context(),
  answer = new Answer(),
): Answer {
  whenDone(
    service.call(what, how),
    (response) => {
      answer.response = response;
      if (response.body) response.body.start(answer);
      else answer.onEnd();
    },
    (error) => answer.onError(error as Error),
  );
  // A server whose answer comes later keeps what it has borrowed.
  what.fields.keep();
  return answer;
}

/** A request body of a test. */
export class Upload implements Body {
  sink: BodySink | undefined;
  paused = false;
  cancelled = false;

  constructor(
    readonly length: number | undefined,
    /** What is there at the start. */
    private readonly first: (upload: Upload) => void = () => undefined,
  ) {}

  start(sink: BodySink): void {
    this.sink = sink;
    this.first(this);
  }

  send(text: string | Buffer): void {
    this.sink?.onData(Buffer.from(text as string));
  }

  end(trailers?: Fields): void {
    this.sink?.onEnd(trailers);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  cancel(): void {
    this.cancelled = true;
    this.sink = undefined;
  }
}

/** A body that is there at once. */
export function whole(text: string, chunked = false): Upload {
  return new Upload(chunked ? undefined : text.length, (upload) => {
    if (text !== '') upload.send(text);
    upload.end();
  });
}

import { Fields } from 'mproxy-http';
import type { TlsFacts } from 'mproxy-net';
import { Context } from 'mproxy-service/context';
import { type Body, BytesBody } from 'mproxy-service/http/body';
import {
  HttpContext,
  HttpRequest,
  HttpResponse,
  type HttpService,
  type Outcome,
} from 'mproxy-service/http/message';
import { whenDone } from 'mproxy-service/result';

export interface Given {
  method?: string;
  version?: '1.0' | '1.1' | '2';
  host?: string;
  /** Normalised, with its query. */
  target?: string;
  fields?: Record<string, string> | [string, string][];
  body?: Body | string;
}

/** A request, as the HTTP server makes it. */
export function requestOf({
  method = 'GET',
  version = '1.1',
  host = 'a.test',
  target = '/',
  fields = {},
  body,
}: Given = {}) {
  const at = target.indexOf('?');
  const [path, query] = at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at)];
  const bytes = typeof body === 'string' ? new BytesBody(Buffer.from(body)) : body;
  return new HttpRequest(method, version, 'http', host, host, path, query, Fields.of(fields), bytes, false);
}

/** @param peer undefined: a Unix socket */
export function contextOf(peer: string | undefined = '192.0.2.1', tls?: TlsFacts): HttpContext {
  const address = peer === 'unix:' ? undefined : { address: peer, port: 40_000 };
  const connection = new Context({ peer: address, local: undefined, tls, listener: 'test' });
  return new HttpContext(connection, () => undefined);
}

/** What a service answered, and what it got. */
export interface Answer {
  status: number;
  /** By their names, several lines of one joined. */
  fields: Record<string, string>;
  body: string;
  request: HttpRequest;
  context: HttpContext;
}

/** Calls a service in memory, and takes the whole body. @throws what it throws, and why the body did not come whole */
export async function call(service: HttpService, given: Given = {}, context = contextOf()): Promise<Answer> {
  const request = requestOf(given);
  const response = await new Promise<HttpResponse>((resolve, reject) =>
    whenDone(service.call(request, context), resolve, reject),
  );
  const body = response.body ? (await bytesOf(response.body)).toString('latin1') : '';
  return { status: response.status, fields: fieldsOf(response.fields), body, request, context };
}

export function fieldsOf(fields: Fields): Record<string, string> {
  return Object.fromEntries([...fields].map(([name]) => [name, fields.get(name)!]));
}

export function bytesOf(body: Body): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    body.start({
      onData: (bytes) => pieces.push(Buffer.from(bytes)),
      onEnd: () => resolve(Buffer.concat(pieces)),
      onError: reject,
    });
  });
}

/** Answers 200, with the path and query that it got. */
export const echo: HttpService = {
  call: ({ path, query }) => HttpResponse.text(200, path + query),
};

export function outcomeOf(given: Partial<Outcome> = {}): Outcome {
  return { status: 200, received: 0, sent: 0, firstByte: 0, duration: 0, cut: undefined, ...given };
}

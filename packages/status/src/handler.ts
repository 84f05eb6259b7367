import type { IncomingMessage, ServerResponse } from 'node:http';
import { CONTENT_TYPES } from './metrics.js';
import type { Page } from './page.js';
import type { Status } from './status.js';

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};
const JSON_TYPE = 'application/json; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';

type Answer = { type: string; body: string; status?: number; headers?: Record<string, string> };

/** Answers requests. Nothing is read but the method, the path and the accepted types. An answer is of fresh counters. */
export function answers(status: Status, page: Page) {
  const paths: Record<string, (request: IncomingMessage) => Answer> = {
    '/': () => ({
      ...{ type: 'text/html; charset=utf-8', body: page.html },
      headers: { 'content-security-policy': page.policy },
    }),
    '/metrics': (request) => {
      const format = request.headers.accept?.includes('application/openmetrics-text')
        ? 'openmetrics'
        : 'prometheus';
      return { type: CONTENT_TYPES[format], body: status.metrics(format), headers: { vary: 'accept' } };
    },
    '/healthz': () => {
      const { unhealthy } = status;
      return { type: TEXT_TYPE, body: `${unhealthy ?? 'ok'}\n`, status: unhealthy === undefined ? 200 : 503 };
    },
    '/stats': () => ({ type: JSON_TYPE, body: status.stats() }),
    '/history': () => ({ type: JSON_TYPE, body: status.history() }),
  };
  return (request: IncomingMessage, response: ServerResponse): void => {
    const { method, headers, url = '' } = request;
    const path = url.split('?', 1)[0]!;
    const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
    const isRead = method === 'GET' || method === 'HEAD';
    const answer = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (hasBody) refuse(response, 413, 'a request has no body here');
    else if (!isRead) refuse(response, 405, 'GET and HEAD only', { allow: 'GET, HEAD' });
    else if (path === '/events') status.fresh(() => openEvents(status, method, response));
    else if (answer) status.fresh(() => send(response, answer(request)));
    else refuse(response, 404, 'not found: /, /metrics, /healthz, /stats, /history, /events');
  };
}

function send(response: ServerResponse, { type, body, status = 200, headers }: Answer): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { ...HEADERS, 'content-type': type, 'content-length': length, ...headers });
  response.end(body);
}

/** Closes the connection: what else was sent on it is not read. */
function refuse(
  response: ServerResponse,
  status: number,
  why: string,
  headers: Record<string, string> = {},
): void {
  send(response, { type: TEXT_TYPE, body: `${why}\n`, status, headers: { ...headers, connection: 'close' } });
}

function openEvents(status: Status, method: string, response: ServerResponse): void {
  response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' });
  if (method === 'HEAD') {
    response.end();
    return;
  }
  response.write(status.firstEvents());
  status.stream.add(response);
}

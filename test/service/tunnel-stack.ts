import type { Streams } from 'mproxy-net';
import { type HttpServerOptions, httpServer, type Outcome, service, tcpServer } from 'mproxy-service';
import { Deadlines } from 'mproxy-service/deadlines';
import type { HttpClientOptions } from 'mproxy-service/http/client-options';
import type { HttpContext, HttpRequest, HttpResponse } from 'mproxy-service/http/message';
import type { Test } from 'tap';
import { ENGINES } from '../net/engines.js';
import { Authority, type Pair } from '../support/certificates.js';
import { client } from './exchanges.js';
import { type TunnelOrigin, tunnel, tunnelOrigin } from './tunnels.js';

export interface TunnelStack {
  origin: TunnelOrigin;
  port: number;
  /** Opens a tunnel through it. */
  open(): ReturnType<typeof tunnel>;
  /** Of requests that have ended. */
  outcomes: Outcome[];
}

/** TLS of both sides. */
export interface TunnelTls {
  authority: Authority;
  /** For 127.0.0.1. */
  pair: Pair;
}

/** Each engine, without TLS, and with TLS on both sides. */
export async function tunnelSuites(t: Test) {
  const authority = await Authority.make(t);
  const pair = await authority.sign({ ips: ['127.0.0.1'] });
  return ENGINES.flatMap(({ name, streams }) => [
    { name, streams, secure: false, tls: undefined },
    { name: `${name}, TLS`, streams, secure: true, tls: { authority, pair } },
  ]);
}

/** An HTTP server that forwards to an origin, in this process, and switches to websocket. */
export async function tunnelStack(
  t: Test,
  streams: Streams,
  options: HttpServerOptions & { client?: Partial<HttpClientOptions>; tls?: TunnelTls | undefined } = {},
): Promise<TunnelStack> {
  const { client: clientOptions, tls, ...serverOptions } = options;
  const origin = await tunnelOrigin(t, tls?.pair);
  const outcomes: Outcome[] = [];
  const upstream = client(t, streams, {
    upstreams: [origin.url],
    tls: tls && { credentials: { ca: tls.authority.pem } },
    ...clientOptions,
  });
  const watched = service<HttpRequest, HttpResponse, HttpContext>((request, context) => {
    context.onDone((outcome) => outcomes.push(outcome));
    return upstream.call(request, context);
  });
  const deadlines = new Deadlines(streams);
  const server = await tcpServer('127.0.0.1:0', { streams, tls: tls && { pairs: [tls.pair] } }).serve(
    httpServer(watched, { deadlines, upgrades: ['websocket'], ...serverOptions }),
  );
  t.teardown(() => server.cut());
  const { port } = server.addresses[0]!;
  return { origin, port, open: () => tunnel(t, port, origin, '/', tls !== undefined), outcomes };
}

import type { Streams } from 'mproxy-net';
import { type HttpServerOptions, httpServer, type Outcome, service, tcpServer } from 'mproxy-service';
import { Deadlines } from 'mproxy-service/deadlines';
import type { HttpClientOptions } from 'mproxy-service/http/client-options';
import type { HttpContext, HttpRequest, HttpResponse } from 'mproxy-service/http/message';
import type { Test } from 'tap';
import { client } from './exchanges.js';
import { type TunnelOrigin, tunnelOrigin } from './tunnels.js';

export interface TunnelStack {
  origin: TunnelOrigin;
  port: number;
  /** Of requests that have ended. */
  outcomes: Outcome[];
}

/** An HTTP server that forwards to an origin, in this process, and switches to websocket. */
export async function tunnelStack(
  t: Test,
  streams: Streams,
  options: HttpServerOptions & { client?: Partial<HttpClientOptions> } = {},
): Promise<TunnelStack> {
  const { client: clientOptions, ...serverOptions } = options;
  const origin = await tunnelOrigin(t);
  const outcomes: Outcome[] = [];
  const upstream = client(t, streams, { upstreams: [origin.url], ...clientOptions });
  const watched = service<HttpRequest, HttpResponse, HttpContext>((request, context) => {
    context.onDone((outcome) => outcomes.push(outcome));
    return upstream.call(request, context);
  });
  const deadlines = new Deadlines(streams);
  const server = await tcpServer('127.0.0.1:0', { streams }).serve(
    httpServer(watched, { deadlines, upgrades: ['websocket'], ...serverOptions }),
  );
  t.teardown(() => server.cut());
  return { origin, port: server.addresses[0]!.port, outcomes };
}

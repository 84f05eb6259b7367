import { duration, size } from 'mproxy-service/config-keys';

export const CLIENT_TIMEOUTS = {
  tlsHandshake: duration({ default: '10s', help: 'until a TLS handshake is finished: closed' }),
  requestHead: duration({ default: '10s', help: 'until a request head is complete: 408' }),
  idle: duration({ help: 'a kept client connection without a request is closed; default 75s' }),
  requestBody: duration({ default: '30s', help: 'without a byte of a request body: 408' }),
  requestBodyRate: size({ default: 500, help: 'least average of a request body, bytes a second: 408' }),
  send: duration({ default: '60s', help: 'the client takes nothing of a response: closed' }),
};

/** Without defaults: those of the document hold. */
export const ROUTE_TIMEOUTS = {
  connect: duration({ help: 'until a connection to the upstream is there: 504; default 5s' }),
  responseHead: duration({ help: 'from the end of the request to the response head: 504; default 60s' }),
  responseBody: duration({ help: 'without a byte of a response body: cut; default 5m' }),
  eventStream: duration({ help: 'the same for event streams; default 1h' }),
  tunnel: duration({ help: 'without a byte in either direction of a WebSocket: cut; default 1h' }),
};

/** For all routes that do not say otherwise. */
export const UPSTREAM_TIMEOUTS = {
  connect: duration({ default: '5s', help: 'until a connection to an upstream is there: 504' }),
  responseHead: duration({ default: '60s', help: 'from the end of a request to the response head: 504' }),
  responseBody: duration({ default: '5m', help: 'without a byte of a response body: cut' }),
  eventStream: duration({ default: '1h', help: 'the same for event streams' }),
  tunnel: duration({ default: '1h', help: 'without a byte in either direction of a WebSocket: cut' }),
};

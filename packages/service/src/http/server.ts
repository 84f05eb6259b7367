import type { Connection } from 'mproxy-net';
import { Connections } from '../connections.js';
import type { Context } from '../context.js';
import { sharedDeadlines } from '../deadlines.js';
import type { Service } from '../service.js';
import { DateLine } from './date-line.js';
import type { HttpService } from './message.js';
import { ParserPool } from './parser-pool.js';
import { ServerConnection } from './server-connection.js';
import { HTTP_LIMITS, HTTP_TIMEOUTS, type HttpServerOptions, type ServerParts } from './server-options.js';
import { ServerStaging } from './server-staging.js';

/**
 * Serves HTTP/1.1 and 1.0 on connections. Invalid requests, and those that are too large or too slow, are answered here, and never reach
 * the service.
 */
export function httpServer(service: HttpService, options: HttpServerOptions = {}): Service<Connection, void> {
  const limits = { ...HTTP_LIMITS, ...options.limits };
  const deadlines = options.deadlines ?? sharedDeadlines();
  const parts: ServerParts = {
    service,
    limits,
    parsers: new ParserPool(limits),
    timeouts: { ...HTTP_TIMEOUTS, ...options.timeouts },
    upgrades: new Set(options.upgrades),
    deadlines,
    dateLine: new DateLine(deadlines),
    staging: new ServerStaging(),
    options,
  };
  const alone = new Connections();
  return {
    call(connection: Connection, context: Context) {
      const one = new ServerConnection(parts, connection, context, context.connections ?? alone);
      connection.start(one);
      return one.done;
    },
  };
}

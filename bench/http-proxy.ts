import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';

/** http-proxy PORT ORIGIN_PORT KEPT: a reverse proxy on 127.0.0.1 made of npm's http-proxy, which NODE_PATH has. */
const [port, origin, kept] = process.argv.slice(2).map(Number);

interface HttpProxy {
  web(request: IncomingMessage, response: ServerResponse, options: object, failed: () => void): void;
}

const { createProxyServer } = createRequire(import.meta.url)('http-proxy') as {
  createProxyServer(options: object): HttpProxy;
};
const agent = new Agent({ keepAlive: true, maxSockets: kept!, maxFreeSockets: kept! });
const proxy = createProxyServer({ agent, xfwd: true });
const server = createServer((request, response) => {
  proxy.web(request, response, { target: `http://127.0.0.1:${origin}` }, () => response.destroy());
});
// Idle connections are kept, as by the others.
server.keepAliveTimeout = 60_000;
server.listen(port, '127.0.0.1');

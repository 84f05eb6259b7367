import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The field that says which server answered. */
export const ANSWERED_BY = 'answered-by';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** An HTTP server on a free port of loopback. */
export interface Origin {
  server: Server;
  url: string;
  close(): void;
}

/** @param answers by path; others are not found */
export async function openOrigin(name: string, answers: Readonly<Record<string, Answer>>): Promise<Origin> {
  const server = createServer((request, response) => {
    response.setHeader(ANSWERED_BY, name);
    const { pathname } = new URL(request.url!, 'http://origin');
    const answer = Object.hasOwn(answers, pathname) ? answers[pathname] : undefined;
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { server, url: `http://127.0.0.1:${port}`, close };
}

/**
 * A program of a user's, in TypeScript, that uses all libraries: it moves a line from a client to a server, and asks a stack of services
 * through the gateway.
 */
export const CONSUMER = `
import { readFileSync, writeFileSync } from 'node:fs';
import { type ClientHandle, type ClientOptions, startClient } from 'mproxy-client';
import { type ForwardOptions, startForward } from 'mproxy-forward';
import { startGateway } from 'mproxy-gateway';
import { type ReverseOptions, startReverse } from 'mproxy-reverse';
import { type Handle, MproxyError, type Notice, type ServerOptions, type Stats, startServer } from 'mproxy-server';
import { answer, type HttpLayer, type HttpService, httpServer, stack, tcpServer } from 'mproxy-service';

const stop = new AbortController();
const onNotice = ({ kind, text }: Notice): void => console.error(kind, text);
const collect: ServerOptions = { listenAddr: '127.0.0.1:0', path: 'library.log', onNotice };
const server: Handle = startServer(collect, stop.signal);
const { port } = (await server.ready).listening[0]!;

writeFileSync('library.txt', 'by the library\\n');
const options: ClientOptions = { path: 'library.txt', serverAddr: [\`127.0.0.1:\${port}\`], frame: 'line', ttl: 1 };
const client: ClientHandle = startClient(options);
const stats: Stats = await client.done;
const sent: number = stats.routes[0]!.sinks[0]!.bytes;
const deadline = Date.now() + 10_000;
while (readFileSync('library.log').length < sent && Date.now() < deadline)
  await new Promise((resolve) => setTimeout(resolve, 5));
stop.abort();
await server.done;

const forward: ForwardOptions = { udpListenAddr: '127.0.0.1:0', udpDownstreamAddr: 'nowhere' };
const reverse: ReverseOptions = { multicastAddr: '127.0.0.1:9918', tcpOutputAddr: '127.0.0.1:0' };
const refusals = await Promise.allSettled([startForward(forward).done, startReverse(reverse).done]);
const codes = refusals.map((end) => end.status === 'rejected' && end.reason instanceof MproxyError && end.reason.code);

const hello: HttpService = { call: (request) => answer(request, 200, request.path) };
const shouts: HttpLayer = (inner) => ({
  call: (request, context) => {
    request.path = request.path.toUpperCase();
    return inner.call(request, context);
  },
});
const serving = await tcpServer('127.0.0.1:0').serve(httpServer(stack([shouts], hello)));
const gateway = startGateway({ listenAddr: '127.0.0.1:0', route: \`/=http://127.0.0.1:\${serving.addresses[0]!.port}\`, workers: 1 });
const { listening } = await gateway.ready;
const answered = await (await fetch(\`http://127.0.0.1:\${listening[0]!.port}/hello\`)).text();
await gateway.stop();
await serving.drain(1000);

// @ts-expect-error: an option that there is not
const wrong: ClientOptions = { path: '-', listenAddr: '127.0.0.1:0' };
console.log(JSON.stringify({ text: readFileSync('library.log', 'utf8'), codes, answered, wrong: Object.keys(wrong).length }));
`;

/** A module of a user's, whose service says whether the worker that loaded it has the same mproxy-service. */
export const SERVICE = `
import { HttpContext, HttpResponse } from 'mproxy-service/http/message';
export default {
  call: (request, context) => HttpResponse.text(200, context instanceof HttpContext ? 'one\\n' : 'two\\n'),
};
`;

/** Compiles it as strictly as can be, with the declarations of the packages. */
export function consumerConfig(resolution: 'nodenext' | 'bundler'): string {
  const module = resolution === 'bundler' ? 'esnext' : resolution;
  return JSON.stringify({
    compilerOptions: {
      target: 'es2022',
      lib: ['es2023'],
      types: ['node'],
      module,
      moduleResolution: resolution,
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      outDir: resolution,
    },
    files: ['consumer.mts'],
  });
}

import { createServer } from 'node:http';

/** A program: an HTTP server at each argument, HOST:PORT or a path, which answers with what it received, and where. */
for (const at of process.argv.slice(2)) {
  const server = createServer(({ method, url, headers }, response) => {
    response.end(`${JSON.stringify({ at, method, url, headers })}\n`);
  });
  const [, host, port] = /^(.*):(\d+)$/.exec(at) ?? [];
  const told = () => console.error(`origin at ${at}`);
  if (port === undefined) server.listen(at, told);
  else server.listen(Number(port), host, told);
}

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { VERSION } from 'mproxy-base';
import type { Test } from 'tap';
import { type Answer, ask } from '../status/http.js';
import type { Running } from '../support/command.js';
import { until } from '../support/wait.js';

/** Where a gateway is tried. */
export interface Place {
  /** An empty folder with a short name, as the gateway has it. */
  folder: string;
  /** A path of the gateway's as the test has it. */
  path(inside: string): string;
  start(args: string[]): Running;
}

/** Has a gateway do what its parts that are loaded later are for: TOML, layers, names, files, the access log, the status page. */
export async function tryGateway(t: Test, { folder, path, start }: Place): Promise<void> {
  await origin(t, path(`${folder}/origin`));
  mkdirSync(path(`${folder}/site`));
  writeFileSync(path(`${folder}/site/index.html`), 'page\n');
  writeFileSync(path(`${folder}/gateway.toml`), configuration(folder));
  const args = ['--config', `${folder}/gateway.toml`, '--status-addr', `unix:${folder}/status`];
  const run = start([...args, '--stats', '1h', '--workers', '2']);
  await run.says(`listening: http unix:${folder}/web\n`);
  const at = (socket: string, target: string) =>
    ask(`http://app${target}`, { socketPath: path(`${folder}/${socket}`) });
  const get = (target: string) => at('web', target);

  t.match(await get('/one?two'), { status: 200, body: '/one?two', headers: { 'x-layer': 'set' } });
  t.match(await get('/app/three'), { status: 200, body: '/three' });
  t.match(await get('/files/'), { status: 200, body: 'page\n', headers: { 'x-request-id': /./ } });
  t.match(await get('/files/none'), { status: 404 });
  t.match(await get('/old'), { status: 308, headers: { location: '/new' } });
  t.match(await get('/said'), { status: 203, body: 'said' });
  t.match(await get('/closed'), { status: 403 });
  t.match(await get('/nameless'), { status: 502 }, 'a name that nobody resolves');
  await until('it is healthy', async () => (await at('status', '/healthz')).body.startsWith('ok'));
  await shows(t, (target) => at('status', target));
  t.match(run.stderr, /^mproxy-gateway: engine: linux$/m);
  t.equal(await run.stop(), 0, run.stderr);
  const log = readFileSync(path(`${folder}/access.log`), 'utf8')
    .trim()
    .split('\n');
  t.strictSame(
    log.map((line) => JSON.parse(line).status).toSorted(),
    [200, 200, 200, 203, 308, 403, 404, 502],
    'the records of both workers',
  );
}

async function shows(t: Test, get: (target: string) => Promise<Answer>): Promise<void> {
  t.match((await get('/')).body, /^<!doctype html>.*<\/html>\n$/s);
  const { body } = await get('/metrics');
  t.match(body, `mproxy_build_info{program="mproxy-gateway",version="${VERSION}"`);
  t.match(body, /^mproxy_http_requests_total\{route="\/files",status_class="4xx",.*\} 1$/m);
}

/** Answers with the target. */
async function origin(t: Test, socket: string): Promise<void> {
  const server = createServer((request, response) => response.end(request.url));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  // The gateway may be another user.
  chmodSync(socket, 0o777);
  t.teardown(() => server.close());
}

function configuration(folder: string): string {
  return `
listen = ["unix:web"]
access_log = { to = "access.log" }
middlewares = [{ type = "headers", config = { response = { set = { x-layer = "set" } } } }, { type = "request_id" }]
routes = [
  { path = "/", upstream = "unix:${folder}/origin" },
  { path = "/app", upstream = "unix:${folder}/origin", strip_prefix = "/app" },
  { path = "/files", static = { root = "site" }, middlewares = [{ type = "rewrite", config = { strip_prefix = "/files" } }] },
  { path = "/old", redirect = { to = "/new", status = 308 } },
  { path = "/said", respond = { status = 203, body = "said" } },
  { path = "/closed", upstream = "unix:${folder}/origin", middlewares = [{ type = "ip_allow", config = { allow = ["192.0.2.0/24"] } }] },
  { path = "/nameless", upstream = "http://no-such-host.invalid" },
]
`;
}

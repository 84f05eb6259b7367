import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { type PortRouterOptions, portRouter } from 'mproxy-gateway/port-router';
import { type HttpClient, httpClient } from 'mproxy-service/http/client';
import { HttpResponse, type HttpService } from 'mproxy-service/http/message';
import t, { type Test } from 'tap';
import { call } from '../service/calls.js';
import { until } from '../support/wait.js';
import { gateway, origin } from './running.js';

/** What names resolve to. */
const NAMES: Record<string, string[]> = {
  localhost: ['127.0.0.1'],
  'both.test': ['192.0.2.1', '127.0.0.1'],
  'far.test': ['192.0.2.1'],
};

/** A router whose names are those of this file; it lists the clients that it closes. */
function router(
  t: Test,
  options: Partial<PortRouterOptions> = {},
): { service: HttpService; closed: string[] } {
  const closed: string[] = [];
  const service = portRouter({
    hosts: { suffixes: ['localhost'], allowTargets: [] },
    lookUp: async (host) => {
      const ips = NAMES[host];
      if (!ips) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
      return ips;
    },
    client(upstream, lookUp) {
      const client = httpClient({
        upstreams: [upstream],
        hostHeader: 'upstream',
        lookUp,
        timeouts: { connect: 200 },
      });
      const close = client.close.bind(client);
      client.close = () => {
        closed.push(upstream);
        close();
      };
      t.teardown(close);
      return client;
    },
    ...options,
  });
  return { service, closed };
}

/** The port of an origin that answers with Host and the target. */
async function echoPort(t: Test): Promise<string> {
  return new URL(await origin(t, ({ headers, url }, response) => response.end(`${headers.host}${url}`))).port;
}

t.test('the target gets the request with its own Host', async (t) => {
  const port = await echoPort(t);
  const { service } = router(t);
  const cases = {
    [`${port}.localhost`]: 'localhost',
    [`both.test--${port}.localhost`]: 'both.test',
    [`127.0.0.1--${port}.localhost`]: '127.0.0.1',
  };
  for (const [host, target] of Object.entries(cases)) {
    const { status, body, context } = await call(service, { host, target: '/a?b' });
    t.equal(status, 200, host);
    t.equal(body, `${target}:${port}/a?b`);
    t.equal(context.route, 'port encoding', 'no name that a client chose');
  }
});

t.test('only loopback addresses are connected to', async (t) => {
  const port = await echoPort(t);
  const { service } = router(t);
  // The last ones are other ways to write 192.0.2.1, 0.0.0.0 and 10.0.0.1.
  const names = ['far.test', '192.0.2.1', '0.0.0.0', '3221225985', '0', '0x0a000001', '10.1'];
  for (const name of names) {
    const { status, body } = await call(service, { host: `${name}--${port}.localhost` });
    t.equal(status, 403, name);
    t.equal(body, 'the target is not on a loopback address: it needs --allow-target\n');
  }
  t.match(await call(service, { host: `127.1--${port}.localhost` }), { status: 200 }, '127.0.0.1');
});

t.test('an allowed name may be anywhere', async (t) => {
  const hosts = {
    suffixes: ['localhost'],
    allowTargets: [{ host: 'far.test', ports: { from: 3000, to: 3000 } }],
  };
  // It answers with the addresses that it would connect to: no traffic leaves this host.
  const client: PortRouterOptions['client'] = (_, lookUp) => {
    const service: HttpService = {
      call: async () =>
        HttpResponse.text(200, String(await lookUp('far.test', new AbortController().signal))),
    };
    return Object.assign(service, { close: () => undefined }) as unknown as HttpClient;
  };
  const { service } = router(t, { hosts, client });
  t.match(await call(service, { host: 'far.test--3000.localhost' }), { status: 200, body: '192.0.2.1' });
  const { service: other } = router(t, { hosts });
  t.match(await call(other, { host: 'far.test--3001.localhost' }), { status: 403 }, 'on another port');
});

t.test('a name that does not resolve is 502, a port where nobody listens, too', async (t) => {
  const { service } = router(t);
  t.match(await call(service, { host: 'unknown.test--3000.localhost' }), { status: 502 });
  t.match(await call(service, { host: '1024.localhost' }), { status: 502 });
});

t.test('hosts that name no target', async (t) => {
  const { service } = router(t);
  for (const [host, status] of [
    ['app.localhost', 404],
    ['app--22.localhost', 403],
    ['app--3000.a.test', 421],
  ] as const)
    t.match(await call(service, { host }), { status }, host);
});

t.test('connections are kept to the targets that were used last', async (t) => {
  const ports = [await echoPort(t), await echoPort(t), await echoPort(t)];
  const { service, closed } = router(t, { maxTargets: 2 });
  for (const i of [0, 1, 0, 2, 0])
    t.match(await call(service, { host: `${ports[i]}.localhost` }), { status: 200 });
  t.strictSame(closed, [`http://localhost:${ports[1]}`]);
  t.match(await call(service, { host: `${ports[1]}.localhost` }), { status: 200 }, 'and to others again');
  t.strictSame(
    closed,
    [1, 2].map((i) => `http://localhost:${ports[i]}`),
  );
});

t.test('a gateway with --port-encoding and --run', async (t) => {
  const port = await echoPort(t);
  const folder = t.testdir({});
  const file = join(folder, 'runs');
  const running = await gateway(t, {
    portEncoding: true,
    run: `trap 'rm ${file}; exit' TERM; echo here > ${file}; cat ${file}; while :; do sleep 0.05; done`,
  });
  t.match((await running.notice('run_output')).text, /: here$/);
  const answers = [
    [`${port}.localhost`, 200],
    [`app--${port}.other.test`, 421],
    ['app.localhost:80', 404],
  ] as const;
  for (const [host, status] of answers) t.equal(await statusOf(running.port, host), status, host);
  await running.handle.stop();
  await until('its command has ended', () => !existsSync(file));
});

function statusOf(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on('error', reject).end();
  });
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Authority } from '../support/certificates.js';
import { start } from '../support/command.js';
import { shortFolder } from '../support/short-folder.js';
import { until } from '../support/wait.js';
import { curl, noCurl } from './curl.js';
import { configured } from './front.js';
import { origin } from './running.js';
import { haproxy, noHaproxy } from './servers.js';

const skip = noHaproxy || noCurl;

function showsClient(t: Test): Promise<string> {
  return origin(t, (request, response) => {
    const { 'x-forwarded-for': address, 'x-real-ip': real } = request.headers;
    response.end(`${address} ${real}\n`);
  });
}

for (const [version, send] of [
  ['version 1', 'send-proxy'],
  ['version 2', 'send-proxy-v2'],
] as const)
  for (const mode of ['tcp', 'http'])
    t.test(`HAProxy in front with a PROXY header of ${version}, mode ${mode}`, { skip }, async (t) => {
      const config = {
        listen: [{ address: '127.0.0.1:0', proxy_protocol: true }],
        trusted_proxies: ['127.0.0.1'],
        routes: [{ path: '/', upstream: await showsClient(t) }],
        access_log: { to: '-' },
      };
      const { gateway, port } = await configured(t, {}, config);
      // Its checks connect and leave, or ask with a header of their own (version 2: LOCAL).
      const check = mode === 'tcp' ? 'check' : 'check check-send-proxy';
      const more = mode === 'tcp' ? '' : 'option httpchk GET /check';
      const server = await haproxy(t, mode, `127.0.0.1:${port} ${send} ${check} inter 50ms`, more);
      const args = ['--interface', '127.0.0.3', `${server.url}/[1-5]`];
      const { transfers, stdout } = await curl(t, args);
      t.ok(transfers.every(({ status }) => status === 200));
      t.equal(`${stdout}`, '127.0.0.3 127.0.0.3\n'.repeat(5));
      const records = () =>
        `${gateway.stdout}`.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
      const asked = () => records().filter(({ path }) => path !== '/check');
      await until('five records', () => asked().length === 5);
      t.ok(asked().every(({ client }) => client === '127.0.0.3'));
      if (mode === 'http') await until('a check', () => records().some(({ path }) => path === '/check'));
      t.ok(
        records().every(({ status }) => status === 200),
        'checks have no record of a failure',
      );
      t.notMatch(server.running.stderr, /DOWN/);
      t.notMatch(gateway.stderr, /error|closed|refused/);
    });

t.test('HAProxy passes TLS through, with a PROXY header before it', { skip }, async (t) => {
  const authority = await Authority.make(t);
  const { certFile, keyFile } = await authority.sign({ dns: ['a.test'] });
  const { port } = await configured(
    t,
    {},
    {
      listen: [{ address: 'tls://127.0.0.1:0', proxy_protocol: true }],
      certificates: [{ cert_file: certFile, key_file: keyFile }],
      trusted_proxies: ['127.0.0.1'],
      routes: [{ path: '/', upstream: await showsClient(t) }],
    },
  );
  for (const send of ['send-proxy', 'send-proxy-v2']) {
    const server = await haproxy(t, 'tcp', `127.0.0.1:${port} ${send}`);
    const resolve = ['--resolve', `a.test:${server.port}:127.0.0.1`, '--cacert', authority.file];
    const args = ['--interface', '127.0.0.3', ...resolve, `https://a.test:${server.port}/[1-3]`];
    t.equal(`${(await curl(t, args)).stdout}`, '127.0.0.3 127.0.0.3\n'.repeat(3), send);
  }
});

t.test('HAProxy in front by a Unix socket', { skip }, async (t) => {
  const config = JSON.stringify({
    listen: [{ address: 'unix:web.sock', proxy_protocol: true }],
    trusted_proxies: ['unix:'],
    routes: [{ path: '/', upstream: await showsClient(t) }],
  });
  const cwd = shortFolder(t);
  writeFileSync(join(cwd, 'g.json'), config);
  const gateway = start(t, 'gateway', ['--config', 'g.json'], { cwd });
  await gateway.says('listening: http unix:');
  const server = await haproxy(t, 'tcp', `unix@${join(cwd, 'web.sock')} send-proxy-v2`);
  const { stdout } = await curl(t, ['--interface', '127.0.0.3', server.url]);
  t.equal(`${stdout}`, '127.0.0.3 127.0.0.3\n');
});

t.test('a HAProxy that is not trusted is not served', { skip }, async (t) => {
  let asked = 0;
  const upstream = await origin(t, (_, response) => {
    asked++;
    response.end();
  });
  const config = {
    listen: [{ address: '127.0.0.1:0', proxy_protocol: true }],
    trusted_proxies: ['10.0.0.1'],
    routes: [{ path: '/', upstream }],
  };
  const { port } = await configured(t, {}, config);
  const server = await haproxy(t, 'tcp', `127.0.0.1:${port} send-proxy-v2`);
  t.match((await curl(t, [server.url])).first, { status: 0, error: /./ });
  t.equal(asked, 0);
});

for (const version of ['v1', 'v2'])
  t.test(`HAProxy behind, as an upstream that wants a PROXY header: ${version}`, { skip }, async (t) => {
    const upstream = await showsClient(t);
    const server = await haproxy(t, 'http', new URL(upstream).host, 'option forwardfor', 'accept-proxy');
    const { url } = await configured(
      t,
      {},
      { routes: [{ path: '/', upstream: server.url, send_proxy: version }] },
    );
    const { stdout } = await curl(t, ['--interface', '127.0.0.3', `${url}/[1-3]`]);
    // The gateway's field, then what HAProxy read from the header (joined by the origin).
    t.equal(`${stdout}`, '127.0.0.3, 127.0.0.3 127.0.0.3\n'.repeat(3));
  });

import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { missing } from '../lan/tools.js';
import { Authority, type Pair } from '../support/certificates.js';
import { startProgram } from '../support/command.js';
import { shortFolder } from '../support/short-folder.js';
import { curl, noCurl } from './curl.js';
import { gateway, IS_NODE } from './running.js';
import { caddy, nginx, noCaddy, noNginx } from './servers.js';

const noOpenssl = missing('openssl');
const authority = await Authority.make(t);
const site = await authority.sign({ dns: ['a.test'] });
const other = await authority.sign({ dns: ['b.test'] });
const files = ({ certFile, keyFile }: Pair) => ({ cert_file: certFile, key_file: keyFile });
const certificates = [files(site), files(other)];
const routes = [{ path: '/', respond: { body: 'here' } }];
const listenAddr = 'tls://127.0.0.1:0';

/** The arguments of curl for a host that is at a port of 127.0.0.1. */
function at(host: string, port: number, path = '/'): string[] {
  const url = `https://${host}:${port}${path}`;
  return ['--cacert', authority.file, '--resolve', `${host}:${port}:127.0.0.1`, url];
}

t.test(
  'curl: TLS 1.2 and 1.3, HTTP/2 offered and not used, a kept connection',
  { skip: noCurl },
  async (t) => {
    const { port } = await gateway(t, { listenAddr, config: { certificates, routes } });
    for (const version of ['1.2', '1.3']) {
      const { stdout, transfers } = await curl(t, [
        ...['--http2', '--tls-max', version, `--tlsv${version}`],
        ...[...at('a.test', port), ...at('a.test', port).slice(-1)],
      ]);
      t.equal(`${stdout}`, 'herehere');
      t.strictSame(
        transfers.map(({ status, version, connects }) => [status, version, connects]),
        [
          [200, '1.1', 1],
          [200, '1.1', 0],
        ],
      );
    }
    t.equal((await curl(t, ['-H', 'Host: b.test', ...at('a.test', port)])).first.status, 421);
    t.equal((await curl(t, at('b.test', port))).first.status, 200);
    t.match(
      (await curl(t, ['--tls-max', '1.1', ...at('a.test', port)])).first.error,
      /./,
      'TLS 1.1 is refused',
    );
  },
);

t.test('curl with a client certificate', { skip: noCurl }, async (t) => {
  const { port } = await gateway(t, {
    listenAddr,
    config: { certificates: [{ ...files(site), client_ca_file: authority.file }], routes },
  });
  const mine = ['--cert', other.certFile, '--key', other.keyFile];
  t.equal((await curl(t, [...mine, ...at('a.test', port)])).first.status, 200);
  t.match((await curl(t, at('a.test', port))).first.error, /./);
});

/** Runs s_client to its end. */
async function sClient(t: Test, port: number, args: string[], input = ''): Promise<string> {
  const running = startProgram(t, 'openssl', [
    ...['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', authority.file, '-ign_eof', ...args],
  ]);
  running.child.stdin!.end(input);
  await running.exited;
  return `${running.stdout}${running.stderr}`;
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n';

t.test(
  'openssl: the certificate of a name, and an alert for an unknown one',
  { skip: noOpenssl },
  async (t) => {
    const { port } = await gateway(t, { listenAddr, config: { certificates, strict_sni: true, routes } });
    for (const name of ['a.test', 'b.test'])
      t.match(
        await sClient(t, port, ['-servername', name], REQUEST.replace('a.test', name)),
        new RegExp(
          `subject=CN ?= ?${name.replace('.', '\\.')}[^]*Verify return code: 0[^]*HTTP/1\\.1 200 OK`,
        ),
      );
    if (IS_NODE) return;
    t.match(await sClient(t, port, ['-servername', 'c.test']), /SSL alert number 112/);
    t.match(await sClient(t, port, ['-noservername']), /SSL alert number 112/);
  },
);

t.test(
  'openssl: sessions are resumed by any of 4 workers',
  { skip: noOpenssl || (IS_NODE && 'only the node engine has one worker') },
  async (t) => {
    for (const version of ['-tls1_2', '-tls1_3']) {
      const running = await gateway(t, { listenAddr, workers: 4, config: { certificates, routes } });
      const session = join(shortFolder(t), 'session');
      const more = ['-servername', 'a.test', version];
      t.match(await sClient(t, running.port, [...more, '-sess_out', session], REQUEST), /New, TLS/);
      t.ok(existsSync(session));
      for (let i = 0; i < 8; i++)
        t.match(await sClient(t, running.port, [...more, '-sess_in', session], REQUEST), /Reused, TLS/);
      const count = (result: string) => running.metric('tls_handshakes', { result });
      t.strictSame([count('full'), count('resumed'), count('failed')], [1, 8, 0], version);
    }
  },
);

const BYTES = randomBytes(3_000_000);
const ip = await authority.sign({ ips: ['127.0.0.1'], dns: ['origin.test'] });

/** A file of an https origin, by TLS on both sides. */
async function fetched(t: Test, upstream: string, keys: object) {
  const config = { certificates, routes: [{ path: '/', upstream, ...keys }] };
  const running = await gateway(t, { listenAddr, config });
  const asked = await curl(t, [
    ...at('a.test', running.port, '/file'),
    ...at('a.test', running.port, '/file').slice(-1),
  ]);
  return { ...asked, running };
}

const trust = { tls_ca: authority.file };

t.test('nginx as an https origin', { skip: noNginx || noCurl }, async (t) => {
  const server = await nginx(
    t,
    `ssl_certificate ${ip.certFile}; ssl_certificate_key ${ip.keyFile};`,
    '',
    'ssl',
  );
  writeFileSync(join(server.folder, 'root/file'), BYTES);
  const url = server.url.replace('http:', 'https:');
  const { stdout, running } = await fetched(t, url, trust);
  t.ok(stdout.equals(Buffer.concat([BYTES, BYTES])));
  t.equal(running.metric('upstream_requests', { result: 'answered' }), 2);
  t.equal((await fetched(t, url, {})).first.status, 502, 'the system does not know its authority');
});

t.test('nginx as an https origin that wants a client certificate', { skip: noNginx || noCurl }, async (t) => {
  const own = `ssl_certificate ${ip.certFile}; ssl_certificate_key ${ip.keyFile};`;
  const wants = `${own} ssl_client_certificate ${authority.file}; ssl_verify_client on; add_header Client $ssl_client_s_dn;`;
  const server = await nginx(t, wants, '', 'ssl');
  writeFileSync(join(server.folder, 'root/file'), BYTES);
  const url = server.url.replace('http:', 'https:');
  const mine = { tls_cert: other.certFile, tls_key: other.keyFile };
  const { first, stdout } = await fetched(t, url, { ...trust, ...mine });
  t.strictSame([first.status, first.headers.client], [200, ['CN=b.test']]);
  t.ok(stdout.equals(Buffer.concat([BYTES, BYTES])));
  t.equal((await fetched(t, url, trust)).first.status, 400, 'nginx: no required SSL certificate was sent');
});

t.test('Caddy as an https origin, by its name', { skip: noCaddy || noCurl }, async (t) => {
  const server = await caddy(t, `tls ${ip.certFile} ${ip.keyFile}\nfile_server`, 'https');
  writeFileSync(join(server.folder, 'root/file'), BYTES);
  const url = server.url.replace('http:', 'https:');
  const { stdout } = await fetched(t, url, { ...trust, tls_servername: 'origin.test' });
  t.ok(stdout.equals(Buffer.concat([BYTES, BYTES])));
});

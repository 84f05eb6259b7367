import t from 'tap';
import { Authority, type Pair } from '../support/certificates.js';
import { gateway, IS_NODE } from './running.js';
import { askSecurely } from './tls-client.js';

const REQUIRED = 116;
const UNKNOWN_CA = 48;
const UNRECOGNIZED = 112;

const authority = await Authority.make(t);
const clients = await Authority.make(t, 'authority of clients');
const a = await authority.sign({ dns: ['a.test', 'www.a.test'] });
const b = await authority.sign({ dns: ['*.b.test'] });
const shared = await authority.sign({ dns: ['x.test', 'y.test', 'z.test'] });
const m = await authority.sign({ dns: ['m.test'] });
const client = await clients.sign({ dns: ['client.test'] });
const stranger = await authority.sign({ dns: ['stranger.test'] });

const files = ({ certFile, keyFile }: Pair) => ({ cert_file: certFile, key_file: keyFile });
const certificates = [
  files(a),
  files(b),
  // Two sites with one certificate: the clients of one need certificates.
  { ...files(shared), hosts: ['x.test'] },
  { ...files(shared), hosts: ['y.test'], client_ca_file: clients.file },
  // The same site as x.test.
  { ...files(shared), hosts: ['z.test'] },
  { ...files(m), client_ca_file: clients.file },
];

type Case = [sni: string | undefined, host: string, presents: Pair | undefined, expected: number];

const CASES: Case[] = [
  // One site.
  ['a.test', 'a.test', undefined, 200],
  ['a.test', 'www.a.test', undefined, 200],
  ['A.Test', 'a.tEST:443', undefined, 200],
  ['a.test', 'a.test.', undefined, 200],
  ['1.b.test', '2.b.test', undefined, 200],
  ['x.test', 'z.test', undefined, 200],
  // Another certificate.
  ['a.test', '1.b.test', undefined, 421],
  ['1.b.test', 'a.test', undefined, 421],
  ['x.test', 'a.test', undefined, 421],
  // Another authority of clients.
  ['x.test', 'y.test', undefined, 421],
  ['x.test', 'y.test', client, 421],
  ['y.test', 'x.test', client, 421],
  ['a.test', 'm.test', client, 421],
  ['m.test', 'y.test', client, 421],
  // Clients with and without a certificate.
  ['y.test', 'y.test', client, 200],
  ['m.test', 'm.test', client, 200],
  ['m.test', 'm.test', undefined, REQUIRED],
  ['y.test', 'y.test', undefined, REQUIRED],
  ['m.test', 'm.test', stranger, UNKNOWN_CA],
  ['a.test', 'a.test', stranger, 200],
  // No server name, or one that no certificate has: only sites that want client certificates are refused.
  [undefined, 'a.test', undefined, 200],
  [undefined, '1.b.test', undefined, 200],
  [undefined, 'm.test', undefined, 421],
  [undefined, 'y.test', client, 421],
  ['unknown.test', 'x.test', undefined, 200],
  ['unknown.test', 'm.test', undefined, 421],
  // Hosts that no certificate has are those of the first.
  ['a.test', 'unknown.test', undefined, 200],
  ['a.test', '127.0.0.1', undefined, 200],
  ['1.b.test', 'unknown.test', undefined, 421],
  ['1.2.b.test', '1.b.test', undefined, 200],
];

const STRICT: Case[] = [
  ['a.test', 'a.test', undefined, 200],
  ['1.b.test', '1.b.test', undefined, 200],
  [undefined, 'a.test', undefined, UNRECOGNIZED],
  ['unknown.test', 'a.test', undefined, UNRECOGNIZED],
  ['1.2.b.test', 'a.test', undefined, UNRECOGNIZED],
  ['a.test', 'unknown.test', undefined, 421],
  ['a.test', '1.b.test', undefined, 421],
];

const IGNORED: Case[] = [
  ['a.test', '1.b.test', undefined, 200],
  ['a.test', 'm.test', undefined, 200],
  ['m.test', 'm.test', undefined, REQUIRED],
];

for (const [name, cases, keys] of [
  ['sites by certificate and authority', CASES, {}],
  ['strict_sni', STRICT, { strict_sni: true }],
  ['ignore_sni_consistency', IGNORED, { ignore_sni_consistency: true }],
] as const)
  t.test(`${name}: server name, host and client certificate`, async (t) => {
    const { port } = await gateway(t, {
      listenAddr: 'tls://127.0.0.1:0',
      config: { certificates, ...keys, routes: [{ path: '/', respond: { body: 'here' } }] },
    });
    for (const [sni, host, presents, expected] of cases) {
      const answered = await askSecurely(t, port, {
        ...{ sni, host },
        ...(presents && { cert: presents.cert, key: presents.key }),
      });
      const got = typeof answered === 'object' ? answered.status : answered;
      // The node engine refuses without an alert.
      const wanted = IS_NODE && expected < 200 ? 'closed' : expected;
      t.equal(got, wanted, `${sni ?? 'no server name'}, ${host}, ${presents ? 'a certificate' : 'none'}`);
    }
  });

t.test('each request of a kept connection is looked at', async (t) => {
  const { port } = await gateway(t, {
    listenAddr: 'tls://127.0.0.1:0',
    config: { certificates, routes: [{ path: '/', respond: { body: 'here' } }] },
  });
  const request = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n`;
  const hosts = ['a.test', '1.b.test', '1.b.test', 'www.a.test', 'm.test', 'a.test'];
  const [first = '', ...others] = hosts;
  const fields = others
    .map((host) => `\r\n${request(host)}`)
    .join('')
    .replace(/^/, 'A: b\r\n');
  const answered = await askSecurely(t, port, { sni: 'a.test', host: first, fields });
  t.match(answered, { statuses: [200, 421, 421, 200, 421, 200] });
});

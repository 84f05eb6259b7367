import { X509Certificate } from 'node:crypto';
import { forward } from 'mproxy-service/http/forward';
import { HttpResponse } from 'mproxy-service/http/message';
import { clientCertificate } from 'mproxy-service/layers/client-certificate';
import { httpsRedirection } from 'mproxy-service/layers/https-redirection';
import { misdirected } from 'mproxy-service/layers/misdirected';
import { strictTransport } from 'mproxy-service/layers/strict-transport';
import t from 'tap';
import { Authority } from '../../support/certificates.js';
import { call, contextOf, echo } from '../calls.js';
import { factsOf } from '../tls-facts.js';

const PEER = '192.0.2.1';

t.test('misdirected: a kept connection decides once for each change of the host', async (t) => {
  let asked = 0;
  const sites = {
    generation: 1,
    accepts(host: string) {
      asked++;
      return host === 'a.test';
    },
  };
  const layer = misdirected(sites);
  const context = contextOf(PEER, factsOf());
  const status = async (host: string) => (await call(layer(echo), { host }, context)).status;
  t.strictSame([await status('a.test'), await status('a.test'), asked], [200, 200, 1]);
  t.strictSame([await status('b.test'), await status('b.test'), asked], [421, 421, 2]);
  t.strictSame([await status('a.test'), asked], [200, 3]);
  sites.generation++;
  t.strictSame([await status('a.test'), await status('a.test'), asked], [200, 200, 4], 'and for other sites');
  t.equal((await call(layer(echo), { host: 'b.test' })).status, 200, 'without TLS there is no other site');
  t.equal(asked, 4);
});

t.test('strictTransport: over TLS alone, in place of what the upstream sends', async (t) => {
  const inner = { call: () => HttpResponse.text(200, 'x', { 'strict-transport-security': 'max-age=0' }) };
  const cases: [Parameters<typeof strictTransport>[0], string][] = [
    [{ maxAge: 60 }, 'max-age=60'],
    [{ maxAge: 0, includeSubdomains: true }, 'max-age=0; includeSubDomains'],
    [{ maxAge: 1, includeSubdomains: true, preload: true }, 'max-age=1; includeSubDomains; preload'],
  ];
  for (const [options, value] of cases) {
    const { fields } = await call(strictTransport(options)(inner), {}, contextOf(PEER, factsOf()));
    t.equal(fields['strict-transport-security'], value);
  }
  const plain = await call(strictTransport({ maxAge: 60 })(inner));
  t.equal(plain.fields['strict-transport-security'], 'max-age=0', 'as it came');
});

t.test('httpsRedirection: host, path and query are kept, the port is that of TLS', async (t) => {
  const locations: [host: string, target: string, port: number | undefined, location: string][] = [
    ['a.test', '/', undefined, 'https://a.test/'],
    ['a.test', '/x/y?z=1', 443, 'https://a.test/x/y?z=1'],
    ['a.test', '//b.test/', 8443, 'https://a.test:8443//b.test/'],
    ['[::1]', '/', 8443, 'https://[::1]:8443/'],
    ['a.test', '*', undefined, 'https://a.test/'],
  ];
  for (const [host, target, port, location] of locations) {
    const layer = httpsRedirection(() => port);
    const { status, fields } = await call(layer(echo), { host, target });
    t.strictSame([status, fields.location], [308, location]);
    t.equal((await call(layer(echo), { host, target }, contextOf(PEER, factsOf()))).status, 200);
  }
  t.equal((await call(httpsRedirection(() => 443)(echo), { host: '' })).status, 400);
});

t.test('httpsRedirection: only a trusted proxy is believed that a request came by https', async (t) => {
  const fields = { 'x-forwarded-proto': 'https' };
  const behind = (trusted: string[]) => forward({ trusted })(httpsRedirection(() => 443)(echo));
  t.equal((await call(behind([]), { fields })).status, 308);
  t.equal((await call(behind(['192.0.2.0/24']), { fields })).status, 200);
  t.equal((await call(behind(['192.0.2.0/24']))).status, 308);
});

t.test('clientCertificate: subject and fingerprint, which the client cannot say itself', async (t) => {
  const authority = await Authority.make(t);
  const { raw, fingerprint256 } = new X509Certificate((await authority.sign({ dns: ['me.test'] })).cert);
  const names = { subjectField: 'X-Subject', fingerprintField: 'X-Print' };
  const layer = clientCertificate({
    ...names,
    isTrusted: ({ connection }) => connection.peer?.address === '10.0.0.1',
  });
  const fields: [string, string][] = [
    ['X-Subject', 'CN=admin'],
    ['x_subject', 'CN=admin'],
    ['X-Print', '00'],
  ];
  const sent = async (peer: string, der: Buffer | undefined) => {
    const { request } = await call(
      layer(echo),
      { fields },
      contextOf(peer, factsOf({ peerCertificate: der })),
    );
    return [...request.fields].map(([name, value]) => `${name}: ${value}`).join('\n');
  };
  const print = fingerprint256.replaceAll(':', '').toLowerCase();
  t.match(await sent(PEER, raw), new RegExp(`^x-subject: CN=me\\.test\\nx-print: ${print}$`, 'i'));
  t.equal(await sent(PEER, undefined), '');
  t.match(await sent('10.0.0.1', raw), /CN=admin/, 'a trusted proxy speaks for its client');
  t.notMatch(await sent('10.0.0.1', raw), /me\.test/);
  fields.unshift(['X_Subject', 'CN=evil']);
  t.notMatch(await sent('10.0.0.1', raw), /evil/, 'it spells it as it is configured');
  for (const peer of [PEER, '10.0.0.1']) {
    const { request } = await call(layer(echo), {}, contextOf(peer, factsOf()));
    t.strictSame(request.fields.withheld, ['X-Subject', 'X-Print'], 'nor may trailers');
  }
});

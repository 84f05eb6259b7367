import type { TlsPair } from 'mproxy-net';
import { Sites } from 'mproxy-service/sites';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { factsOf } from './tls-facts.js';

const authority = await Authority.make(t);
const one = await authority.sign({ dns: ['one.test', '*.one.test'] });
const two = await authority.sign({ dns: ['two.test'] });
const pairs: TlsPair[] = [one, two, { ...one, names: ['mtls.test'], clientCa: authority.pem }];
const [ONE, TWO, MTLS] = [0, 1, 2];

t.test('a host belongs to the connection of its own site', async (t) => {
  const sites = new Sites({ pairs });
  const cases: [serverName: string | undefined, pair: number, host: string, accepted: boolean][] = [
    ['one.test', ONE, 'a.one.test', true],
    ['one.test', ONE, 'two.test', false],
    ['two.test', TWO, 'one.test', false],
    ['one.test', ONE, 'mtls.test', false],
    ['mtls.test', MTLS, 'mtls.test', true],
    ['mtls.test', MTLS, 'MTLS.test.', true],
    ['mtls.test', MTLS, 'one.test', false],
    [undefined, ONE, 'two.test', true],
    [undefined, ONE, 'mtls.test', false],
    ['other.test', ONE, 'two.test', true],
    ['other.test', ONE, 'mtls.test', false],
    ['one.test', ONE, 'other.test', true],
    ['two.test', TWO, 'other.test', false],
    ['two.test', TWO, '', false],
  ];
  for (const [serverName, pair, host, accepted] of cases)
    t.equal(
      sites.accepts(host, factsOf({ serverName, pair, clientCa: pairs[pair]!.clientCa })),
      accepted,
      `${serverName} ${host}`,
    );
});

t.test('without unknown names, hosts that no certificate has are refused', async (t) => {
  const sites = new Sites({ pairs, strictNames: true });
  t.notOk(sites.accepts('other.test', factsOf({ serverName: 'one.test' })));
  t.ok(sites.accepts('one.test', factsOf({ serverName: 'one.test' })));
});

t.test('one authority of clients for all, or the same for each, is no difference', async (t) => {
  for (const tls of [
    { pairs: [one, { ...one, names: ['x.test'] }], clientCa: authority.pem },
    {
      pairs: [
        { ...one, clientCa: authority.pem },
        { ...one, names: ['x.test'] },
      ],
      clientCa: authority.pem,
    },
  ])
    t.ok(new Sites(tls).accepts('x.test', factsOf({ serverName: 'one.test', clientCa: authority.pem })));
});

t.test('other certificates are used at once', async (t) => {
  const sites = new Sites({ pairs: [one, two] });
  const facts = factsOf({ serverName: 'one.test' });
  t.notOk(sites.accepts('two.test', facts));
  const both = await authority.sign({ dns: ['one.test', 'two.test'] });
  sites.use({ pairs: [both, two] });
  t.ok(sites.accepts('two.test', facts));
});

t.test('a host of several labels below a wildcard belongs to its certificate', async (t) => {
  const open = await authority.sign({ dns: ['example.com'] });
  const staff = await authority.sign({ dns: ['*.example.com'] });
  const sites = new Sites({ pairs: [open, { ...staff, clientCa: authority.pem }] });
  for (const serverName of ['example.com', 'a.b.example.com', undefined])
    t.notOk(
      sites.accepts('a.b.example.com', factsOf({ serverName })),
      'though no certificate is presented for it',
    );
});

t.test('a client that other authorities verified is none any more', async (t) => {
  const other = await Authority.make(t, 'other');
  const own = { ...one, clientCa: authority.pem };
  const sites = new Sites({ pairs: [own] });
  const facts = factsOf({ serverName: 'one.test', clientCa: authority.pem });
  t.ok(sites.accepts('one.test', facts));
  const before = sites.generation;
  sites.use({ pairs: [{ ...own, clientCa: other.pem }] });
  t.notOk(sites.accepts('one.test', facts));
  t.not(sites.generation, before);
});

import { X509Certificate } from 'node:crypto';
import { certificateNames, pairFor, sitePairFor } from 'mproxy-net/tls-names';
import t from 'tap';
import { Authority } from '../support/certificates.js';

t.test('the pair of a name: exactly, else by the longest wildcard', async (t) => {
  const authority = await Authority.make(t);
  const sign = async (...dns: string[]) => (await authority.sign({ dns })).cert;
  const pairs = [
    { cert: await sign('*.one.test', 'two.test') },
    { cert: await sign('app.one.test', 'two.test') },
    { cert: await sign('unused.test'), names: ['*.three.test', 'Four.test'] },
    { cert: await sign('*.five.test', '*.deep.three.test') },
  ];
  const cases: [name: string, pair: number | undefined, why: string][] = [
    ['app.one.test', 1, 'exactly, though a wildcard of another fits, too'],
    ['APP.one.TEST.', 1, 'case and a dot at the end do not matter'],
    ['other.one.test', 0, 'a wildcard of a certificate'],
    ['a.b.one.test', undefined, 'is one label'],
    ['one.test', undefined, 'and not none'],
    ['two.test', 0, 'the first of several'],
    ['a.three.test', 2, 'a configured wildcard'],
    ['a.b.three.test', 2, 'is one label or more'],
    ['three.test', undefined, 'and not none'],
    ['a.deep.three.test', 3, 'the longest'],
    ['a.b.deep.three.test', 2, 'that fits'],
    ['four.test', 2, 'a configured name in any case'],
    ['unused.test', undefined, 'names take the place of those of the certificate'],
    ['.three.test', undefined, 'an empty label'],
    ['', undefined, 'nothing'],
    ['__proto__', undefined, 'no name of an object'],
  ];
  for (const [name, pair, why] of cases) t.equal(pairFor(pairs, name), pair, `${name}: ${why}`);
  t.equal(
    sitePairFor(pairs, 'a.b.one.test'),
    0,
    'a host of several labels belongs to the site of its wildcard',
  );
  t.equal(sitePairFor(pairs, 'a.b.deep.three.test'), 3, 'the longest');
  t.equal(sitePairFor(pairs, 'one.test'), undefined);
});

t.test('the names of a certificate', async (t) => {
  const authority = await Authority.make(t, 'The Common.Name');
  const names = (pem: string) => certificateNames(new X509Certificate(pem));
  t.strictSame(names((await authority.sign({ dns: ['A.test', '*.b.test'], ips: ['127.0.0.1'] })).cert), [
    'a.test',
    '*.b.test',
  ]);
  t.strictSame(names(authority.pem), ['the common.name'], 'without subjectAltName: the common name');
  const odd = await authority.sign({ dns: ['a, DNS:b.test', 'c.test'] });
  t.strictSame(names(odd.cert), ['a, dns:b.test', 'c.test'], 'one with a comma is one name');
});

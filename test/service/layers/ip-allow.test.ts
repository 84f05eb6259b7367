import { IP_ALLOW, ipAllow } from 'mproxy-service/layers/ip-allow';
import t from 'tap';
import { call, contextOf, echo } from '../calls.js';
import { layerOf, problemsOf } from './tables.js';

t.test('lets clients of its networks through, 403 for others', async (t) => {
  const some = ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', 'fe80::/10'];
  for (const [allow, client, expected] of [
    [some, '10.255.0.1', 200],
    [some, '11.0.0.1', 403],
    [some, '192.0.2.7', 200],
    [some, '192.0.2.8', 403],
    [some, '2001:db8:1::1', 200],
    [some, '2001:db9::1', 403],
    [some, 'fe80::1%eth0', 200],
    [some, 'unix:', 403],
    [['unix:'], 'unix:', 200],
    [['unix:'], '10.0.0.1', 403],
    [['::/0'], '2001:db8::1', 200],
    [['0.0.0.0/0'], '2001:db8::1', 403],
    [['0.0.0.0/0'], '1.2.3.4', 200],
  ] as const)
    t.equal(
      (await call(ipAllow(allow)(echo), {}, contextOf(client))).status,
      expected,
      `${allow}: ${client}`,
    );
});

t.test('the client is whom trusted proxies name; verdicts are remembered, of so many clients', async (t) => {
  const service = ipAllow(['10.0.0.0/8'])(echo);
  const context = contextOf('10.0.0.1');
  context.client = '203.0.113.1';
  t.match(await call(service, { body: 'x' }, context), { status: 403, body: 'address not allowed\n' });
  for (let i = 0; i < 5000; i++) {
    const client = `${i % 2 ? 10 : 11}.0.${i >> 8}.${i & 255}`;
    if ((await call(service, {}, contextOf(client))).status !== (i % 2 ? 200 : 403)) t.fail(client);
  }
});

t.test('its table', async (t) => {
  t.match(await call(layerOf(IP_ALLOW, { allow: ['192.0.2.0/24'] })(echo)), { status: 200 });
  const expected = 'expected a network like 192.168.0.0/16 or fd00::/8, or unix:';
  for (const [config, problem] of [
    [{}, `config.allow: it is missing; expected a list of networks, each ${expected.slice(9)}`],
    [{ allow: [] }, `config.allow: []: expected a list of networks, each ${expected.slice(9)}`],
    [{ allow: ['10.0.0.0/33'] }, `config.allow[0]: "10.0.0.0/33": ${expected}`],
    [{ allow: ['10.0.0.0/8', 'localhost'] }, `config.allow[1]: "localhost": ${expected}`],
  ] as const)
    t.strictSame(problemsOf(IP_ALLOW, config), [problem]);
});

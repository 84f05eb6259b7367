import t from 'tap';
import { numbered } from '../delivery/feed.js';
import { until } from '../support/wait.js';
import { noSites, startChain, twoSites } from './sites.js';

t.test('two sites: by a subject the same bytes arrive as by a group', { skip: noSites }, async (t) => {
  const sites = await twoSites(t);
  const input = numbered(1, 100_000);
  for (const middle of ['239.7.7.7:9922,interface=eth0', sites.server.url('ships.ais')]) {
    const { client, forward, reverse, last } = await startChain(t, sites, middle);
    client.child.stdin!.end(input);
    t.equal(await client.exited, 0, client.stderr);
    await until(`all of it by ${middle}`, () => last.stdout.length >= input.length);
    t.equal(String(last.stdout), input, middle);
    for (const one of [forward, reverse, last]) {
      t.equal(await one.stop(), 0, one.stderr);
      t.notMatch(one.stderr, /lost/);
    }
  }
});

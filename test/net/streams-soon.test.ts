import { randomBytes } from 'node:crypto';
import type { Connection } from 'mproxy-net';
import t from 'tap';
import { until } from '../support/wait.js';
import { pair, readAll } from './connections.js';
import { ENGINES } from './engines.js';

/** What may follow bytes that are sent soon, and what its peer gets. */
const ENDS: Record<string, { next(connection: Connection): void; gets: string }> = {
  nothing: { next: () => undefined, gets: 'soon' },
  'more of them': { next: (one) => one.offer(Buffer.from(' more'), true), gets: 'soon more' },
  'an offer at once': { next: (one) => one.offer(Buffer.from(' now')), gets: 'soon now' },
  'a write': { next: (one) => one.write([Buffer.from(' written')]), gets: 'soon written' },
  'an end': { next: (one) => one.end(), gets: 'soon' },
  'a lingering end': { next: (one) => one.linger(1000), gets: 'soon' },
  'a close': { next: (one) => one.close(), gets: 'soon' },
};

for (const { name, streams } of ENGINES) {
  t.test(name, async (t) => {
    for (const [what, { next, gets }] of Object.entries(ENDS))
      t.test(`bytes that may be sent soon come before ${what}`, async (t) => {
        const { log, peer } = await pair(t, streams);
        const { connection } = log;
        const received = readAll(peer);
        const bytes = Buffer.from('soon');
        t.equal(connection.offer(bytes, true), 4);
        t.equal(connection.sent, 4);
        bytes.fill('!');
        next(connection);
        if (what !== 'an end' && what !== 'a close') {
          await until('they are taken', () => connection.sent === gets.length && !connection.writing);
          connection.end();
        }
        t.equal(String(await received), gets);
      });

    t.test('bytes of many connections that are sent soon are not mixed up', async (t) => {
      const pairs = await Promise.all(Array.from({ length: 40 }, () => pair(t, streams)));
      const sent = pairs.map(() => Array.from({ length: 3 }, () => randomBytes(4000)));
      const received = pairs.map(({ peer }) => readAll(peer));
      for (let i = 0; i < 3; i++)
        for (const [at, { log }] of pairs.entries()) t.equal(log.connection.offer(sent[at]![i]!, true), 4000);
      for (const { log } of pairs) log.connection.end();
      for (const [at, whole] of (await Promise.all(received)).entries())
        t.ok(whole.equals(Buffer.concat(sent[at]!)), `connection ${at}`);
    });

    t.test('what a peer does not take of bytes that are sent soon waits for it', async (t) => {
      const { log, peer } = await pair(t, streams);
      const { connection } = log;
      const block = randomBytes(4096);
      let sent = 0;
      await until('it is full', () => {
        const taken = connection.writing ? 0 : connection.offer(block, true);
        sent += taken;
        return taken === 0;
      });
      t.ok(connection.sent <= sent);
      const received = readAll(peer);
      await log.has('drain');
      connection.end();
      const whole = await received;
      for (let at = 0; at < whole.length; at += block.length)
        if (!whole.subarray(at, at + block.length).equals(block.subarray(0, whole.length - at)))
          return t.fail(`other bytes at ${at}`);
      t.equal(whole.length, sent);
    });
  });
}

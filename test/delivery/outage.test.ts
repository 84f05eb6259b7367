import { countOf, sequenceOf } from 'mproxy-mold';
import t from 'tap';
import { lossyRelay } from '../support/lossy.js';
import { until } from '../support/wait.js';
import { Feed, has, numbered, receive, type Test } from './feed.js';

/** A server that writes to stdout, behind a relay without trouble of its own. */
async function behindRelay(t: Test, flags: string[]) {
  const server = receive(t, 'server', ['--listen-addr', '127.0.0.1:0', '--path', '-', ...flags]);
  let next = 0;
  const relay = await lossyRelay(t, {
    to: { address: '127.0.0.1', port: await server.port() },
    seen: (packet) => {
      next = Math.max(next, sequenceOf(packet, 0) + countOf(packet, 0));
    },
  });
  /** Resolves when the sender's messages up to this number came by. */
  const passed = (last: number) => until(`message ${last} came by`, () => next > last, 20_000);
  return { server, relay, passed, to: `${relay.address}:${relay.port}` };
}

t.test('what fell out of the store in an outage is told with its numbers; the rest is whole', async (t) => {
  const { server, relay, passed, to } = await behindRelay(t, ['--once', '--stats', '1h']);
  const feed = new Feed(t, to, ['--retain', '1MiB', '--payload', '1400', '--rate', '40Mbps']);
  feed.send(10_000);
  await has(server, 'line 10000\n');
  relay.cut = true;
  feed.send(200_000);
  // More than the store has room for.
  await passed(210_000);
  relay.cut = false;
  feed.send(1000);
  await has(server, 'line 211000\n');
  t.equal(await feed.end(), 0, feed.client.stderr);
  t.equal(await server.exited, 1, server.stderr);
  const told = /^mproxy-server: lost in all: .*: messages 10001 to (\d+) \(([\d,]+) in all\)/m.exec(
    server.stderr,
  );
  t.ok(told, server.stderr);
  const last = Number(told?.[1]);
  const lost = (last - 10_000).toLocaleString('en');
  t.equal(told?.[2], lost);
  t.equal(String(server.stdout), numbered(1, 10_000) + numbered(last + 1, 211_000 - last));
  // A megabyte of packets with lines of 12 bytes and their lengths is still there.
  t.ok(last > 100_000 && last < 211_000 - (1024 * 1024) / 16, `up to ${last}`);
  t.match(server.stderr, new RegExp(`stats: .* ${lost} messages lost`));
  t.match(server.stderr, new RegExp(`ended: .* at message 211,000; .* ${lost} lost`));
});

t.test('a sender that was taken for gone, and is heard again, is followed', async (t) => {
  const { server, relay, to } = await behindRelay(t, ['--repair-timeout', '1s']);
  const feed = new Feed(t, to);
  feed.send(1000);
  await has(server, 'line 1000\n');
  relay.cut = true;
  feed.send(1000);
  await server.says('its sender is gone', 30_000);
  relay.cut = false;
  await server.says('received again');
  feed.send(1000);
  await has(server, 'line 3000\n');
  t.equal(await feed.end(), 0, feed.client.stderr);
  await until('its end', () => server.stderr.includes('ended:'));
  t.match(server.stderr, /ended: .* at message 3,000; .* 0 lost/);
  t.equal(await server.stop(), 0, server.stderr);
  t.equal(String(server.stdout), feed.text);
});

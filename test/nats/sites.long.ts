import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { numbered } from '../delivery/feed.js';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';
import { Folder } from './folder.js';
import { jetConfig } from './jet.js';
import { peerOf } from './peer.js';
import { randomLines } from './random-lines.js';
import { NatsServer, noServer } from './server.js';
import { noSites, startChain, startStreamChain, twoSites } from './sites.js';

const CUT_MS = 20_000;
const STALLED_MS = 30_000;
const LINES = 10_000;

t.setTimeout(300_000);

t.test('the link of a site is cut for 20 s: what may be lost is reported', { skip: noSites }, async (t) => {
  const sites = await twoSites(t, 'max_pending: 1MB\nwrite_deadline: "2s"');
  const { client, reverse, last } = await startChain(t, sites, sites.server.url('a'));
  let sent = 0;
  const send = () => {
    client.child.stdin!.write(numbered(sent + 1, LINES));
    sent += LINES;
  };
  const arrived = () => last.stdout.includes(`line ${sent}\n`);
  send();
  await until('the first lines', arrived);
  sites.setLink('far', 'down');
  const since = performance.now();
  await until(
    'the server gives up, and 20 s are over',
    () => {
      // The server sends on, as it knows nothing of the cut; what it sends stays in buffers that are soon full.
      if (performance.now() - since < CUT_MS && client.child.stdin!.writableLength === 0) send();
      return performance.now() - since > CUT_MS && /Slow Consumer/.test(sites.server.log);
    },
    60_000,
  );
  sites.setLink('far', 'up');
  // Measured from the last that was received, not from when the host learnt of the end.
  await reverse.says(/receiving: .*: disconnected for (19|2\d)(\.\d)? s: messages may be lost/, 60_000);
  client.child.stdin!.end(numbered(sent + 1, LINES));
  sent += LINES;
  await until('the last lines', arrived, 60_000);
  const lines = String(last.stdout).split('\n').length - 1;
  t.ok(lines < sent, `${sent - lines} of ${sent} lines were lost`);
  t.equal(await reverse.stop(), 0, reverse.stderr);
  t.match(reverse.stderr, /lost in all: .*: was disconnected for .*: messages of that time may be lost/);
});

t.test(
  'frame=mold over a stream, the link of either site cut for 20 s: 100 MB arrive once, in order',
  { skip: noSites },
  async (t) => {
    for (const site of ['near', 'far'] as const) {
      const sites = await twoSites(t, jetConfig(t));
      const folder = new Folder(t);
      const [input, output] = [folder.path('in'), folder.path('out')];
      const sent = randomLines(100e6);
      writeFileSync(input, sent);
      const { client, forward, last } = await startStreamChain(t, sites, { input, output });
      const size = () => statSync(output).size;
      await until('a third has arrived', () => size() > sent.length / 3, 60_000);
      sites.setLink(site, 'down');
      const since = performance.now();
      await until('20 s are over', () => performance.now() - since > CUT_MS, 2 * CUT_MS);
      t.ok(size() < sent.length / 2, `${site}: the link was cut before the half`);
      sites.setLink(site, 'up');
      t.equal(await client.exited, 0, client.stderr);
      t.equal(await last.exited, 0, last.stderr);
      t.equal(sha256(readFileSync(output)), sha256(sent), `${site}: the same bytes`);
      t.match(last.stderr, / 0 lost\n/);
      t.equal(await forward.stop(), 0, forward.stderr);
      t.notMatch(forward.stderr, /lost/);
      t.comment(forward.stderr, last.stderr);
    }
  },
);

t.test(
  'a subscriber is stalled for 30 s: what the server does to it is reported',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const peer = await peerOf(t, server);
    const ours = start(t, 'server', ['--path', '/dev/null', '--listen-addr', server.url('a')]);
    await ours.says('connected to');
    ours.child.kill('SIGSTOP');
    const since = performance.now();
    const message = Buffer.alloc(60_000, 'x');
    await until(
      '30 s',
      async () => {
        // More than the 64 MB that the server queues for a subscriber by default.
        if (!/Slow Consumer/.test(server.log)) for (let i = 0; i < 10; i++) peer.publish('a', message);
        await peer.flush();
        return performance.now() - since > STALLED_MS;
      },
      60_000,
    );
    t.match(server.log, /Slow Consumer/);
    ours.child.kill('SIGCONT');
    await ours.says(/disconnected for .*: messages may be lost/, 30_000);
    t.equal(await ours.stop(), 0, ours.stderr);
  },
);

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

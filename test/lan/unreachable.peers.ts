import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { lan, noNamespaces } from '../support/namespace.js';
import { freeUdpPort } from '../support/net.js';

const onLinuxEngine = process.env.ENGINE === 'node' && 'the node engine cannot read error queues';
const skip = noNamespaces || onLinuxEngine;

/** Addresses of the LAN that no host has. The kernel gives up asking for them after some 3 s (arp(7), mcast_solicit). */
const ABSENT = ['10.77.0.99:9920', '[fd77::99]:9920'];
/** And with a second for the statistics, and as much for a busy machine. */
const LONGEST_MS = 15_000;

/** That of each absent host exactly so many datagrams came back. */
async function counts(t: Test, running: Running, each: number): Promise<void> {
  for (const absent of ABSENT) {
    const text = absent.replace(/[[\]]/g, '\\$&');
    await running.says(new RegExp(`-> ${text}: ${each} datagrams? \\d+ B, EHOSTUNREACH ${each}`), LONGEST_MS);
    t.pass(absent);
  }
}

t.test('a relay counts what it sends to hosts that are switched off', { skip }, async (t) => {
  const namespace = lan(t, 1).hosts[0]!.name;
  const to = ABSENT.flatMap((absent) => ['--udp-downstream-addr', absent]);
  const listen = ['--udp-listen-addr', '127.0.0.1:9800'];
  const forward = start(t, 'forward', [...listen, ...to, '--stats', '0.2'], { namespace });
  await forward.port();
  const client = start(t, 'client', ['--path', '-', '--server-addr', '127.0.0.1:9800'], { namespace });
  client.child.stdin!.end('lost\n');
  t.equal(await client.exited, 0);
  await counts(t, forward, 1);
  t.equal(await forward.stop(), 0);
  for (const absent of ABSENT) t.ok(forward.stderr.includes(`${absent}: host unreachable, 1 time`), absent);
});

t.test('a client that goes on counts what it sends to hosts that are switched off', { skip }, async (t) => {
  const namespace = lan(t, 1).hosts[0]!.name;
  const file = join(t.testdir(), 'followed');
  writeFileSync(file, 'one\n');
  const to = ABSENT.flatMap((absent) => ['--server-addr', absent]);
  const stats = ['--stats', '0.2'];
  const follow = start(t, 'client', ['--path', file, '--follow', ...to, ...stats], { namespace });
  await counts(t, follow, 1);
  appendFileSync(file, 'two\n');
  await counts(t, follow, 2);
  t.equal(await follow.stop(), 0);
  for (const absent of ABSENT) t.ok(follow.stderr.includes(`${absent}: host unreachable, 2 times`), absent);
  const piped = start(t, 'client', ['--path', '-', ...to, ...stats], { namespace });
  piped.child.stdin!.write('one\n');
  await counts(t, piped, 1);
  piped.child.stdin!.end();
  t.equal(await piped.exited, 0, 'what the network returns is no failure of the client');
});

t.test('a client whose input ends does not wait for what comes back', { skip }, async (t) => {
  const namespace = lan(t, 1).hosts[0]!.name;
  const client = start(t, 'client', ['--path', '-', '--server-addr', ABSENT[0]!], { namespace });
  client.child.stdin!.end('one\n');
  t.equal(await client.exited, 0, client.stderr);
});

t.test(
  'a sender of mold counts a port that refuses, with its address',
  { skip: onLinuxEngine },
  async (t) => {
    const port = await freeUdpPort();
    const to = `localhost:${port},bind=127.0.0.1`;
    const mold = ['--frame', 'mold', '--linger', '0s'];
    const client = start(t, 'client', ['--path', '-', '--server-addr', to, ...mold]);
    client.child.stdin!.end('one\n');
    t.equal(await client.exited, 0, client.stderr);
    // A packet with the message, one with the end of session.
    const line = `lost in all: ${to}: connection refused (for 127.0.0.1:${port}), 2 times`;
    t.ok(client.stderr.includes(line), client.stderr);
  },
);

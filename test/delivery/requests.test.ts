import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { countOf, END_OF_SESSION, HEARTBEAT, sequenceOf } from 'mproxy-mold';
import t, { type Test } from 'tap';
import { packet, SESSION } from '../mold/packets.js';
import { start } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

const PACKETS = 300;

/** A client that sent so many packets of one message, and answers so many packets a second as long as it lingers. */
async function asked(t: Test, rate: string, linger = '60s') {
  const file = join(t.testdir(), 'in');
  writeFileSync(file, `${'x'.repeat(77)}\n`.repeat(PACKETS));
  const [data, asker] = [await udpSink(t), await udpSink(t)];
  const client = start(t, 'client', [
    ...['--path', file, '--server-addr', `127.0.0.1:${data.port}`, '--frame', 'mold', '--payload', '100'],
    ...['--session', SESSION.trim(), '--repair-rate', rate, '--linger', linger],
  ]);
  let port = 0;
  data.socket.on('message', (_, from) => {
    port = from.port;
  });
  await until('the end', () => data.datagrams.some((one) => countOf(one, 0) === END_OF_SESSION));
  const ask = (first: number, count: number) =>
    asker.socket.send(packet(first, [], count), port, '127.0.0.1');
  const numbers = () =>
    asker.datagrams.filter((one) => countOf(one, 0) !== HEARTBEAT).map((one) => sequenceOf(one, 0));
  return { client, ask, numbers };
}

t.test('what still waits to be sent again is not sent again twice', async (t) => {
  const { client, ask, numbers } = await asked(t, '400pps');
  ask(1, PACKETS);
  await until('the answer begins', () => numbers().length > 10);
  // As a receiver does that hears the first packets, and takes those behind them for lost.
  for (let first = 11; first < PACKETS; first++) ask(first, PACKETS);
  await until('all of it came', () => new Set(numbers()).size === PACKETS);
  // Behind it comes what else still waits: tens of thousands, if all that was asked for did.
  ask(1, 1);
  await until('what was asked for last', () => numbers().filter((number) => number === 1).length === 2);
  t.ok(numbers().length < PACKETS * 3, `in ${numbers().length} packets`);
  t.equal(await client.stop(), 0, client.stderr);
});

t.test('what was sent again already is sent again when it is asked for', async (t) => {
  const { client, ask, numbers } = await asked(t, '400pps');
  ask(100, 100);
  await until('the answer begins', () => numbers().length > 20);
  ask(90, 20); // from before the range that waits into what of it was sent
  await until('both came', () => new Set(numbers()).size === 110 && numbers().length >= 120);
  t.equal(numbers().filter((number) => number === 105).length, 2);
  t.equal(await client.stop(), 0, client.stderr);
});

t.test('a sender that was stopped for longer than it lingers answers what was asked meanwhile', async (t) => {
  // ReorderBuffer up for long, and for so short that nothing tells it.
  for (const [linger, stopped] of [
    ['1s', 1500],
    ['300ms', 450],
  ] as const) {
    const { client, ask, numbers } = await asked(t, '400pps', linger);
    client.child.kill('SIGSTOP');
    ask(1, 1);
    const end = performance.now() + stopped;
    await until('it was stopped for long enough', () => performance.now() > end);
    t.equal(numbers().length, 0, 'it is stopped');
    client.child.kill('SIGCONT');
    await until('the answer', () => numbers().length > 0);
    t.equal(await client.exited, 0, client.stderr);
  }
});

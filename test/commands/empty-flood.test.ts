import { createSocket } from 'node:dgram';
import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

/** Sends this many empty datagrams every 10 ms, until it is stopped. @returns its port */
async function sendEmpty(t: Test, port: number, many: number): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const timer = setInterval(() => {
    for (let i = 0; i < many; i++) socket.send('', port, '127.0.0.1');
  }, 10);
  t.teardown(() => {
    clearInterval(timer);
    socket.close();
  });
  return socket.address().port;
}

/** Empty datagrams that the last line of --stats counts. */
const counted = ({ stderr }: Running) => {
  const last = [...stderr.matchAll(/ ([\d,]+) empty datagrams? ->/g)].at(-1)?.[1] ?? '0';
  return Number(last.replaceAll(',', ''));
};

async function startRelay(t: Test) {
  const sink = await udpSink(t);
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', `127.0.0.1:${sink.port}`],
    ...['--stats', '0.1'],
  ]);
  return { sink, forward, port: await forward.port() };
}

t.test('a flood of empty datagrams is reported once, with its sender, and passed on', async (t) => {
  const { sink, forward, port } = await startRelay(t);
  const from = await sendEmpty(t, port, 100);
  await forward.says(
    new RegExp(
      `^mproxy-forward: receiving: 127\\.0\\.0\\.1:0: [\\d,]+ empty datagrams in a second, the last from 127\\.0\\.0\\.1:${from}; an mproxy 0\\.1\\.8 reverse sends these after its TCP sender closed: restart it$`,
      'm',
    ),
  );
  const now = counted(forward);
  await until('two more seconds of it', () => counted(forward) > now + 20_000, 60_000);
  t.equal(forward.stderr.split(' in a second, ').length, 2, 'reported once');
  t.ok(sink.datagrams.length > 1000);
  t.ok(sink.datagrams.every(({ length }) => length === 0));
  t.equal(await forward.stop(), 0, forward.stderr);
});

t.test('a few empty datagrams are counted, and not reported', async (t) => {
  const { forward, port } = await startRelay(t);
  await sendEmpty(t, port, 1);
  await until('two seconds of it', () => counted(forward) > 200, 60_000);
  t.equal(await forward.stop(), 0);
  t.notMatch(forward.stderr, ' in a second, ');
});

import t from 'tap';
import { start } from '../support/command.js';
import { groupSink, loopbackGroup } from '../support/group.js';
import { tcpClient } from '../support/net.js';
import { until } from '../support/wait.js';

async function startInput(t: Parameters<typeof start>[0], ...more: string[]) {
  const group = await loopbackGroup();
  const sink = await groupSink(t, group);
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-listen-addr', '127.0.0.1:0', '--stats', '0.1', ...more],
  ]);
  return { sink, reverse, port: await reverse.port() };
}

t.test('--max-senders closes one more at once, counts it, and takes another when one left', async (t) => {
  const { sink, reverse, port } = await startInput(t, '--max-senders', '2');
  const senders = [await tcpClient(t, port), await tcpClient(t, port)] as const;
  await reverse.says(', 2 connections now 2 ever');
  const third = await tcpClient(t, port);
  await until('the third is closed', () => third.closed || third.socket.readableEnded);
  await reverse.says(', 1 refused connection ');
  await reverse.says('127.0.0.1 refused: there are 2 already (--max-senders)\n');
  senders[0].socket.resetAndDestroy();
  await reverse.says(', 1 connection now 2 ever, 1 refused connection ');
  const fourth = await tcpClient(t, port);
  fourth.socket.write('fourth\n');
  await sink.has(7);
  senders[1].socket.write('second\n');
  t.equal(String(await sink.has(14)), 'fourth\nsecond\n');
  t.equal(await reverse.stop(), 0, reverse.stderr);
});

t.test('--sender-timeout disconnects a sender that sends nothing, and no other', async (t) => {
  const { sink, reverse, port } = await startInput(t, '--sender-timeout', '500ms');
  const [silent, busy] = [await tcpClient(t, port), await tcpClient(t, port)] as const;
  silent.socket.write('unfinished');
  const timer = setInterval(() => busy.socket.write('.\n'), 50);
  t.teardown(() => clearInterval(timer));
  await until('the silent one is disconnected', () => silent.closed || silent.socket.readableEnded);
  await reverse.says(', 1 connection now 2 ever, 1 timed-out sender, 1 broken line ');
  await reverse.says(/ left 127\.0\.0\.1:0: sent nothing for 500 ms: disconnected \(--sender-timeout\)\n/);
  t.match(String(sink.bytes), /^(\.\n)*unfinished\n/, 'its line got a newline');
  const { length } = sink.datagrams;
  await until('the other one is read on', () => sink.datagrams.length > length + 10);
  t.notOk(busy.closed);
  t.equal(await reverse.stop(), 0, reverse.stderr);
});

t.test('the notices of many connections are summed up', async (t) => {
  const { reverse, port } = await startInput(t);
  const senders = await Promise.all(Array.from({ length: 40 }, () => tcpClient(t, port)));
  await reverse.says(', 40 connections now 40 ever');
  for (const { socket } of senders) socket.destroy();
  await reverse.says(', 0 connections now 40 ever');
  t.equal(await reverse.stop(), 0, reverse.stderr);
  const notices = reverse.stderr.split('\n').filter((line) => line.includes(': sender'));
  t.equal(notices.filter((line) => line.includes(' connected to ')).length, 10);
  t.equal(notices.filter((line) => line.includes(' left ')).length, 1);
  t.match(
    notices.at(-1),
    /^mproxy-reverse: senders: 127\.0\.0\.1:0: in \d seconds? also 30 senders connected, 39 senders left$/,
  );
  t.equal(notices.length, 12);
});

import t from 'tap';
import { start } from '../support/command.js';
import { udpSend } from '../support/net.js';
import { until } from '../support/wait.js';

const SESSIONS = 100;
const END_OF_SESSION = 0xffff;

/** A packet without messages: a session that has ended. */
function ended(session: number): Buffer {
  const packet = Buffer.alloc(20);
  packet.write(String(session).padEnd(10), 0, 'latin1');
  packet.writeBigUInt64BE(1n, 10);
  packet.writeUInt16BE(END_OF_SESSION, 18);
  return packet;
}

t.test('the notices of many sessions are summed up', async (t) => {
  const server = start(t, 'server', [
    ...['--listen-addr', '127.0.0.1:0,frame=mold', '--path', '/dev/null', '--stats', '0.1'],
  ]);
  const packets = Array.from({ length: SESSIONS }, (_, i) => ended(i));
  await udpSend(await server.port(), packets);
  await until('all came', () => server.stderr.includes(`: ${SESSIONS} datagrams `));
  t.equal(await server.stop(), 0, server.stderr);
  const lines = server.stderr.split('\n');
  t.equal(lines.filter((line) => line.includes(' from message 1')).length, 5);
  t.equal(lines.filter((line) => line.includes(': ended: ')).length, 5);
  const summary = lines.filter((line) => line.includes(' also '));
  t.equal(summary.length, 1);
  t.match(
    summary[0],
    /^mproxy-server: receiving: 127\.0\.0\.1:0,frame=mold: in \d+ seconds? also 95 sessions received, 95 sessions ended$/,
  );
});

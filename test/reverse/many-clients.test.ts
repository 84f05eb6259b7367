import { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { Authority, pairFlags } from '../support/certificates.js';
import { type Running, start } from '../support/command.js';
import { groupSend, loopbackGroup } from '../support/group.js';
import { openSocket, TcpClient } from '../support/net.js';
import { until } from '../support/wait.js';

const CLIENTS = 200;
const LINES = 2000;
const VISITORS = 1000;
/** Visitors at a time. */
const TOGETHER = 20;

t.setTimeout(240_000);

/** A reverse with a TCP and a TLS output, and how to connect to either. */
async function startOutputs(t: Test) {
  const group = await loopbackGroup();
  const pair = await (await Authority.make(t)).sign({ dns: ['feed.test'] });
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--stats', '0.2', ...pairFlags(pair)],
    ...['--tcp-output-addr', '127.0.0.1:0', '--tcp-output-addr', 'tls://127.0.0.1:0'],
  ]);
  const [plain, tls] = [await reverse.port(0), await reverse.port(1)];
  const open = (secure: boolean) => openSocket(t, secure ? tls : plain, secure);
  return { group, reverse, open };
}

/** Whether the last line of --stats has these words for each output. */
const bothSay = ({ stderr }: Running, words: string): boolean =>
  stderr.slice(stderr.lastIndexOf('stats: ')).split(words).length === 3;

/** Waits until so many clients of each output are connected, of those that ever were. */
const connected = async (reverse: Running, now: number, ever: number) => {
  const words = `${now} client${now === 1 ? '' : 's'} now ${ever} ever`;
  await until(`${words} at both outputs`, () => bothSay(reverse, words), 30_000);
};

const line = (i: number) => `line ${i} ${'x'.repeat(i % 700)}\n`;

t.test('200 clients, half of them with TLS, get all bytes', async (t) => {
  const { group, reverse, open } = await startOutputs(t);
  const clients: TcpClient[] = [];
  for (let i = 0; i < CLIENTS; i++) clients.push(new TcpClient(await open(i % 2 === 0)));
  await connected(reverse, CLIENTS / 2, CLIENTS / 2);
  const lines = Array.from({ length: LINES }, (_, i) => line(i));
  const all = Buffer.from(lines.join(''));
  for (let i = 0; i < LINES; i += 100) {
    await groupSend(group, lines.slice(i, i + 100));
    const sent = lines.slice(0, i + 100).join('').length;
    await until(`${sent} bytes came`, () => clients.every(({ length }) => length >= sent), 30_000);
  }
  t.ok(clients.every(({ bytes }) => bytes.equals(all)));
  t.equal(await reverse.stop(), 0);
  t.ok(clients.every(({ length }) => length === all.length));
  t.notMatch(reverse.stderr, 'lost:');
});

t.test('1,000 clients connect and leave under load; one that stays gets every datagram', async (t) => {
  const { group, reverse, open } = await startOutputs(t);
  const stays = [new TcpClient(await open(false)), new TcpClient(await open(true))];
  await connected(reverse, 1, 1);
  let sent = '';
  let sending = true;
  const load = (async () => {
    for (let i = 0; sending; i += 20) {
      const lines = Array.from({ length: 20 }, (_, j) => line(i + j));
      await groupSend(group, lines);
      sent += lines.join('');
      await until('who stays has them', () => stays.every(({ length }) => length >= sent.length));
    }
  })();
  for (let i = 0; i < VISITORS; i += TOGETHER) {
    const visitors = await Promise.all(Array.from({ length: TOGETHER }, (_, j) => open(j % 2 === 0)));
    for (const [j, socket] of visitors.entries()) {
      // By FIN, by RST, and after some datagrams.
      socket.on('error', () => undefined);
      if (j % 3 === 0) socket.end(() => socket.destroy());
      else if (j % 3 === 1) socket.destroy();
      else
        socket.once('data', () =>
          socket instanceof TLSSocket ? socket.destroy() : socket.resetAndDestroy(),
        );
    }
  }
  sending = false;
  await load;
  for (const client of stays) t.equal(String(await client.has(sent.length)), sent);
  await until(
    'all others left',
    async () => {
      await groupSend(group, ['anyone?\n']);
      return bothSay(reverse, '1 client now');
    },
    30_000,
  );
  t.match(reverse.stderr, `1 client now ${1 + VISITORS / 2} ever`);
  t.equal(await reverse.stop(), 0);
  t.notMatch(reverse.stderr, 'lost:');
});

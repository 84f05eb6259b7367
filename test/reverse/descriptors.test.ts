import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { Authority, pairFlags } from '../support/certificates.js';
import { command, type Running, start, startProgram } from '../support/command.js';
import { groupSend, groupSink, loopbackGroup } from '../support/group.js';
import { TcpClient } from '../support/net.js';
import { until } from '../support/wait.js';

const LIMIT = 60;
const CONNECTS = 100;
const skip = process.platform !== 'linux' && 'the limit is read from /proc';

/** mproxy-reverse that may have few descriptors. */
function startLimited(t: Test, args: string[]): Running {
  const script = `ulimit -n ${LIMIT}; exec "$@"`;
  const program = command('reverse', [...args, '--stats', '0.1']);
  return startProgram(t, 'sh', ['-c', script, 'sh', ...program]);
}

/** The sockets that a process has open. */
function sockets(pid: number): number {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).filter((fd) => {
    try {
      return readlinkSync(`${directory}/${fd}`).startsWith('socket:');
    } catch (error) {
      // It was closed meanwhile.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }).length;
}

/** A connection, with what it brought and whether the other side closed it. */
class Peer {
  bytes = '';
  closed = false;

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => {
      this.bytes += chunk;
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.closed = true;
    });
  }

  static async connect(t: Test, port: number): Promise<Peer> {
    const socket = connect(port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    const peer = new Peer(socket);
    await once(socket, 'connect');
    return peer;
  }
}

/** The last numbers that --stats gave. */
function numbers(reverse: Running, word: string): { now: number; ever: number; refused: number } {
  const line =
    reverse.stderr
      .trimEnd()
      .split('\n')
      .findLast((line) => line.includes(`${word} now`) || line.includes(`${word}s now`)) ?? '';
  const [, now, ever] = new RegExp(`(\\d+) ${word}s? now (\\d+) ever`).exec(line) ?? [];
  const refused = new RegExp(`(\\d+) refused ${word}s?`).exec(line)?.[1] ?? '0';
  return { now: Number(now), ever: Number(ever), refused: Number(refused) };
}

/** Connects until there were too many. @returns those that are served */
async function crowd(t: Test, reverse: Running, word: string, port: number): Promise<Peer[]> {
  const peers = await Promise.all(Array.from({ length: CONNECTS }, () => Peer.connect(t, port)));
  const counted = () => numbers(reverse, word);
  await until('each is served or refused', () => counted().ever + counted().refused === CONNECTS);
  const { ever, now, refused } = counted();
  t.equal(now, ever);
  t.ok(refused >= CONNECTS - LIMIT, `${refused} refused`);
  t.ok(ever >= 5, `${ever} served`);
  await until('the others are closed', () => peers.filter(({ closed }) => closed).length === refused);
  t.match(
    reverse.stderr,
    /127\.0\.0\.1 refused: this process has its last descriptors of 60; raise the limit \(ulimit -n, LimitNOFILE=\)\n/,
  );
  return peers.filter(({ closed }) => !closed);
}

t.test(
  'clients beyond the descriptors are closed and counted, those before them get everything',
  { skip },
  async (t) => {
    const group = await loopbackGroup();
    const reverse = startLimited(t, ['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0']);
    const port = await reverse.port();
    const served = await crowd(t, reverse, 'client', port);
    const lines = Array.from({ length: 100 }, (_, i) => `line ${i}\n`);
    await groupSend(group, lines);
    const all = lines.join('');
    await until('each has every datagram', () => served.every(({ bytes }) => bytes.length >= all.length));
    for (const { bytes } of served) t.equal(bytes, all);
    // A client that only half-closed goes on receiving.
    for (const { socket } of served.slice(0, 3)) socket.resetAndDestroy();
    await until('three left', () => numbers(reverse, 'client').now === served.length - 3);
    const late = await Peer.connect(t, port);
    await until('a new client is served', () => numbers(reverse, 'client').now === served.length - 2);
    await groupSend(group, ['late\n']);
    await until('it gets the next datagram', () => late.bytes === 'late\n');
    t.equal(await reverse.stop(), 0, reverse.stderr);
    t.notMatch(
      reverse.stderr,
      /interfaces cannot be read/,
      'the program itself had descriptors all the time',
    );
  },
);

t.test(
  'senders beyond the descriptors are closed and counted, those before them are read',
  { skip },
  async (t) => {
    const group = await loopbackGroup();
    const sink = await groupSink(t, group);
    const reverse = startLimited(t, ['--multicast-addr', group.address, '--tcp-listen-addr', '127.0.0.1:0']);
    const port = await reverse.port();
    const served = await crowd(t, reverse, 'connection', port);
    for (const [i, { socket }] of served.entries()) socket.write(`sender ${String(i).padStart(3, '0')}\n`);
    await sink.has(11 * served.length);
    for (const { socket } of served.slice(0, 3)) socket.destroy();
    await until('three left', () => numbers(reverse, 'connection').now === served.length - 3);
    const late = await Peer.connect(t, port);
    late.socket.write('late\n');
    await until('a new sender is read', () => String(sink.bytes).includes('late\n'));
    t.equal(await reverse.stop(), 0, reverse.stderr);
  },
);

t.test(
  'connections in their TLS handshake leave the reserve free: certificates are read again',
  { skip },
  async (t) => {
    const group = await loopbackGroup();
    const authority = await Authority.make(t);
    const pair = await authority.sign({ dns: ['feed.test'] });
    const reverse = startLimited(t, [
      ...['--multicast-addr', group.address, '--tcp-output-addr', 'tls://127.0.0.1:0', ...pairFlags(pair)],
    ]);
    const port = await reverse.port();
    const peers = await Promise.all(Array.from({ length: CONNECTS }, () => Peer.connect(t, port)));
    const refused = () => numbers(reverse, 'client').refused;
    await until('many are refused', () => refused() >= CONNECTS - LIMIT);
    await until('they are closed', () => peers.filter(({ closed }) => closed).length === refused());
    t.notMatch(reverse.stderr, 'handshake', 'what was refused has none');
    reverse.child.kill('SIGHUP');
    await reverse.says('tls: certificates read again\n');
    for (const { socket } of peers) socket.resetAndDestroy();
    const trust = { ca: authority.pem, servername: 'feed.test' };
    const connect = () => new Peer(connectTls({ port, host: '127.0.0.1', ...trust }));
    let late = connect();
    t.teardown(() => late.socket.destroy());
    // Until all resets have arrived, it is refused as well.
    await until('a new client is served', () => {
      if (late.closed) late = connect();
      return numbers(reverse, 'client').now === 1;
    });
    await groupSend(group, ['late\n']);
    await until('it gets the next datagram', () => late.bytes === 'late\n');
    t.equal(await reverse.stop(), 0, reverse.stderr);
  },
);

t.test(
  '--max-clients limits those too whose TLS handshake failed, until they are closed',
  { skip },
  async (t) => {
    const group = await loopbackGroup();
    const pair = await (await Authority.make(t)).sign({ dns: ['feed.test'] });
    const args = ['--multicast-addr', group.address, '--tcp-output-addr', 'tls://127.0.0.1:0'];
    const reverse = start(t, 'reverse', [...args, ...pairFlags(pair), '--max-clients', '5']);
    const port = await reverse.port();
    await reverse.says('listening: group');
    const open = () => sockets(reverse.child.pid!);
    const before = open();
    let most = 0;
    for (let i = 0; i < CONNECTS; i++) {
      // It leaves its own half open: the program has to close it.
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      t.teardown(() => socket.destroy());
      const client = new TcpClient(socket);
      socket.write('GET / HTTP/1.1\r\n\r\n');
      await until('it is turned away', () => client.ended);
      most = Math.max(most, open() - before);
    }
    t.ok(most <= 5, `${most} sockets at once`);
    t.match(reverse.stderr, /TLS handshake failed: it does not speak TLS/);
    await until('they are closed', () => open() === before);
    t.equal(await reverse.stop(), 0, reverse.stderr);
  },
);

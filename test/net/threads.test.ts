import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { BATCH_CAPACITY } from 'mproxy-framing';
import { loadLibc } from 'mproxy-net/linux/libc';
import { bindSocket, localPort, openSocket } from 'mproxy-net/linux/socket';
import { receivingThreads } from 'mproxy-net/linux/threads';
import t, { type Test } from 'tap';
import { udpSend } from '../support/net.js';
import { until } from '../support/wait.js';
import { assignmentOf } from './assignments.js';
import { ENGINES, open, openSender, sendAll } from './engines.js';

const engine = ENGINES.find(({ name }) => name === 'linux');
const skip = !engine && 'no threads';

/** The receiving threads of this process. */
const threads = () => receivingThreads(loadLibc());
const noThreads = () => until('all threads ended', () => threads().count === 0);

/** A descriptor that is received from on a thread; what it delivers is remembered. */
function receive(t: Test, fd: number) {
  const { assignment, texts } = assignmentOf(fd);
  threads().expect();
  threads().start(assignment);
  t.teardown(async () => {
    assignment.stop();
    await assignment.ended.catch(() => undefined);
    closeSync(fd);
  });
  return { assignment, texts };
}

function bound(): { fd: number; port: number } {
  const libc = loadLibc();
  const fd = openSocket(libc, 4);
  bindSocket(libc, fd, { address: '127.0.0.1', port: 0 });
  return { fd, port: localPort(libc, fd) };
}

t.test('many receivers share one thread, which ends with the last', { skip }, async (t) => {
  await noThreads();
  const inboxes = await Promise.all(Array.from({ length: 50 }, () => open(t, engine!)));
  for (const inbox of inboxes) inbox.run();
  for (const { port } of inboxes) await udpSend(port, ['x']);
  for (const inbox of inboxes) await inbox.has(1);
  t.equal(threads().count, 1);
  await Promise.all(inboxes.slice(1).map((inbox) => inbox.stop()));
  await udpSend(inboxes[0]!.port, ['y']);
  await inboxes[0]!.has(2);
  t.equal(threads().count, 1);
  await inboxes[0]!.stop();
  await noThreads();
});

t.test(
  'those that start later share a second thread, as a first one blocks in its socket',
  { skip },
  async (t) => {
    const inboxes = [];
    for (let i = 0; i < 10; i++) {
      const inbox = (await open(t, engine!)).run();
      await udpSend(inbox.port, ['x']);
      await inbox.has(1);
      inboxes.push(inbox);
    }
    t.equal(threads().count, 2);
    await Promise.all(inboxes.map((inbox) => inbox.stop()));
    await noThreads();
  },
);

t.test('a thread that was started for a receiver which never runs ends with it', { skip }, async (t) => {
  const inbox = await open(t, engine!);
  t.equal(threads().count, 1);
  inbox.receiver.stop();
  await noThreads();
});

t.test('a socket with a long queue is received from in turn with others', { skip }, async (t) => {
  const [flooded, other, last] = [await open(t, engine!), await open(t, engine!), await open(t, engine!)];
  const sender = await openSender(t, engine!, flooded.port);
  await sendAll(sender, Array(2000).fill('flood'));
  await udpSend(other.port, ['one']);
  await udpSend(last.port, ['one']);
  let before = -1;
  flooded.run();
  other.run(() => {
    before = flooded.datagrams.length;
  });
  last.run(() => {
    before = Math.max(before, flooded.datagrams.length);
  });
  await Promise.all([flooded.has(2000), other.has(1), last.has(1)]);
  t.ok(before >= 0 && before <= 2 * BATCH_CAPACITY, `after ${before} datagrams of the other`);
});

for (const [where, beside] of [
  ['alone', 0],
  ['among others', 3],
] as const) {
  t.test(`${where}: a socket that takes the place of another is received from`, { skip }, async (t) => {
    const sockets = Array.from({ length: 1 + beside }, bound);
    const [first, ...others] = sockets.map(({ fd }) => receive(t, fd));
    const { fd, port } = sockets[0]!;
    await udpSend(port, ['before']);
    await until('it came', () => first!.texts.length === 1);
    for (let round = 0; round < 5; round++) {
      const fresh = bound();
      // Before it takes the place: it must not be missed.
      await udpSend(fresh.port, [`held ${round}`]);
      first!.assignment.replacing();
      loadLibc().dup2(fresh.fd, fd);
      first!.assignment.replaced();
      closeSync(fresh.fd);
      await udpSend(fresh.port, [`after ${round}`]);
      await until('both came', () => first!.texts.length === 3 + 2 * round);
    }
    t.strictSame(first!.texts.slice(-2), ['held 4', 'after 4']);
    for (const [i, { texts }] of others.entries()) {
      await udpSend(sockets[1 + i]!.port, ['too']);
      await until('the others go on', () => texts.length === 1);
    }
  });

  t.test(`${where}: a descriptor that cannot be received from fails alone`, { skip }, async (t) => {
    const others = Array.from({ length: beside }, bound);
    const running = others.map(({ fd }) => receive(t, fd));
    const pipe = readablePipe(t);
    const failing = receive(t, pipe);
    await t.rejects(failing.assignment.ended, { code: 'ENOTSOCK', syscall: 'recvmmsg' });
    for (const [i, { texts }] of running.entries()) {
      await udpSend(others[i]!.port, ['x']);
      await until('the others go on', () => texts.length === 1);
    }
  });
}

t.test('a descriptor that epoll refuses fails alone', { skip }, async (t) => {
  const other = bound();
  const running = receive(t, other.fd);
  const failing = receive(t, openSync('/dev/null', 'r'));
  await t.rejects(failing.assignment.ended, { code: 'EPERM', syscall: 'epoll_ctl' });
  await udpSend(other.port, ['x']);
  await until('the other goes on', () => running.texts.length === 1);
});

const fewProcessors = availableParallelism() < 2 && 'a second thread needs a second processor';

t.test(
  'a hot socket moves to a thread of its own, without loss, and in order',
  { skip: skip || fewProcessors },
  async (t) => {
    await noThreads();
    const [hot, cold] = [await open(t, engine!), await open(t, engine!)];
    let next = 0;
    let wrong = 0;
    const ended = hot.receiver.run((batch) => {
      batch.each((offset) => {
        if (batch.slab.readUInt32LE(offset) !== next++) wrong++;
      });
      return undefined;
    });
    cold.run();
    const sender = await openSender(t, engine!, hot.port);
    let sent = 0;
    const window = async () => {
      const numbers = Array.from({ length: 2000 }, () => {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32LE(sent++);
        return bytes;
      });
      await sendAll(sender, numbers);
      // Half of it is on its way when the next is sent.
      await until('half of them came', () => next >= sent - 1000);
    };
    const deadline = performance.now() + 60_000;
    while (threads().count < 2 && performance.now() < deadline) await window();
    t.equal(threads().count, 2, `after ${sent} datagrams`);
    for (let i = 0; i < 200; i++) await window();
    await until('all came', () => next === sent);
    t.equal(wrong, 0, 'in order');
    const { datagrams, dropped, kernelDropped } = hot.receiver.counts;
    t.strictSame([datagrams, dropped, kernelDropped], [sent, 0, 0]);
    await udpSend(cold.port, ['x']);
    await cold.has(1);
    hot.receiver.stop();
    await ended;
    await cold.stop();
    await noThreads();
  },
);

for (const [what, code] of [
  ['one receiver', 'await run(1); process.exit(7);'],
  ['many receivers', 'await run(20); process.exit(7);'],
  ['receivers that did not start yet', 'void run(20); process.exit(7);'],
  [
    'receivers that stopped',
    'for (const one of await run(3)) one.stop(); await Promise.all(runs); process.exitCode = 7;',
  ],
  ['receivers that never run', 'await open(5); process.exitCode = 7;'],
] as const) {
  t.test(`a process with ${what} can end`, { skip }, async (t) => {
    const script = `
      import { createSocket } from 'node:dgram';
      import { chooseEngine } from '${import.meta.resolve('mproxy-net')}';
      const { engine } = chooseEngine('linux');
      const options = { address: '127.0.0.1', port: 0, family: 4, receiveBuffer: 65536, notice: () => undefined };
      const open = (count) => Promise.all(Array.from({ length: count }, () => engine.openReceiver(options)));
      const runs = [];
      // Each runs when it has delivered a datagram.
      const run = async (count) => {
        const receivers = await open(count);
        const delivered = receivers.map((receiver) => new Promise((resolve) => runs.push(receiver.run(resolve))));
        const socket = createSocket('udp4');
        for (const { local } of receivers) socket.send('x', local.port, '127.0.0.1');
        await Promise.all(delivered);
        socket.close();
        return receivers;
      };
      ${code}`;
    const args = ['--input-type=module', '-e', script];
    const { status, signal, stderr } = spawnSync(process.execPath, args, {
      timeout: 20_000,
      encoding: 'utf8',
    });
    t.strictSame([status, signal], [7, null], stderr);
    t.notMatch(stderr, 'Warning');
  });
}

/** A descriptor that is readable, but no socket. */
function readablePipe(t: Test): number {
  const path = join(t.testdir(), 'pipe');
  const { status } = spawnSync('mkfifo', [path]);
  if (status !== 0) throw new Error('mkfifo failed');
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  writeSync(fd, 'x');
  return fd;
}

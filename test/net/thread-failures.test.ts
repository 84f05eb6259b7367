import '../support/failing-threads.js';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';
import type { Batch } from 'mproxy-framing';
import { ThreadClients } from 'mproxy-net';
import type { ThreadFailure } from 'mproxy-net/datagrams';
import { Assignment } from 'mproxy-net/linux/assignment';
import { loadLibc } from 'mproxy-net/linux/libc';
import { bindSocket, localPort, openSocket } from 'mproxy-net/linux/socket';
import { Threads } from 'mproxy-net/linux/threads';
import t, { type Test } from 'tap';
import { type TcpClient, tcpClient, udpSend } from '../support/net.js';
import { until } from '../support/wait.js';
import { assignmentOf } from './assignments.js';
import { ENGINES } from './engines.js';

const engine = ENGINES.find(({ name }) => name === 'linux');
const skip = !engine && 'no threads';

/** How soon new clients of a thread that failed must be served. */
const SERVED_MS = 1000;
const REASONS = { mistake: /^TypeError: a mistake of ours at .*failing-thread/, heap: /heap out of memory/ };

/** A receiving thread, with sockets that it delivers to the event loop and to the clients of a listener. */
async function open(t: Test, sockets = 2) {
  const threads = new Threads(loadLibc());
  const failures: ThreadFailure[] = [];
  const reported: string[] = [];
  const texts: string[] = [];
  const descriptors: number[] = [];
  const { clients, port } = await openClients(t, reported, descriptors);
  const threadFailed = (failure: ThreadFailure) => failures.push(failure);
  const served = Array.from({ length: sockets }, (_, i) => {
    const fd = openSocket(loadLibc(), 4);
    bindSocket(loadLibc(), fd, { address: '127.0.0.1', port: 0 });
    const socket = { fd, ignored: [], roomy: false, tellsSenders: false };
    const sinks = { sockets: [], files: [], clients: i === 0 ? [clients] : [] };
    const deliver = (batch: Batch) => {
      batch.each((offset, length) => texts.push(String(batch.keep(offset, length))));
      return undefined;
    };
    const assignment = new Assignment(socket, sinks, deliver, threadFailed);
    threads.expect();
    threads.start(assignment);
    return { fd, port: localPort(loadLibc(), fd), assignment };
  });
  t.teardown(async () => {
    await clients.close();
    for (const { fd, assignment } of served) {
      assignment.stop();
      await assignment.ended.catch(() => undefined);
      closeSync(fd);
    }
    await until('no thread', () => threads.count === 0);
  });
  await until('the clients are open', () => clients.isOpen);
  const join = async () => {
    const { ever } = clients.counts.clients;
    const client = await tcpClient(t, port);
    client.socket.on('error', () => undefined).on('end', () => client.socket.end());
    await until('it joined', () => clients.counts.clients.ever > ever, SERVED_MS);
    return client;
  };
  const ports = served.map(({ port }) => port);
  return {
    ports,
    assignments: served.map(({ assignment }) => assignment),
    ...{ clients, join, texts, failures, reported, descriptors },
  };
}

async function openClients(t: Test, reported: string[], descriptors: number[]) {
  const listener = await engine!.streams.listen({
    at: { address: '127.0.0.1', port: 0 },
    held: true,
    onConnection: () => undefined,
  });
  t.teardown(() => listener.close());
  let last = 0;
  const opened = () =>
    listener.accept!((fd) => {
      descriptors.push(fd);
      clients.add(++last, fd);
    });
  const clients: ThreadClients = new ThreadClients(
    { frame: 'lines', buffer: 1024 * 1024, timeout: 0 },
    {
      opened,
      joined: (client) => reported.push(`${client} joined`),
      left: (client, reason) => reported.push(`${client} left: ${reason}`),
      refused: (client, reason) => reported.push(`${client} refused: ${reason}`),
    },
  );
  return { clients, port: listener.local!.port };
}

for (const how of ['mistake', 'heap'] as const) {
  t.test(
    `a thread that fails by ${how} is replaced; those of another one notice nothing`,
    { skip },
    async (t) => {
      const [failing, other] = [await open(t), await open(t)];
      const lost = [await failing.join(), await failing.join()];
      const kept = [await other.join(), await other.join()];
      await udpSend(failing.ports[1]!, [`fail by ${how === 'heap' ? 'the heap' : 'a mistake'}\n`]);
      await until('the failure is told', () => failing.failures.length > 0);
      t.match(failing.failures, [{ reason: REASONS[how], sockets: 2, clients: 2 }], 'once for all sockets');
      const reason = 'its receiving thread failed';
      t.strictSame(failing.reported.slice(2), [`1 left: ${reason}`, `2 left: ${reason}`]);
      t.equal(failing.clients.counts.clients.now, 0);
      await until('they are disconnected', () => lost.every(({ closed }) => closed));

      const fresh = await failing.join();
      await udpSend(failing.ports[0]!, ['one\n']);
      await udpSend(failing.ports[1]!, ['other\n']);
      await udpSend(other.ports[0]!, ['theirs\n']);
      await until('a new client has it', () => read(fresh) === 'one\n', SERVED_MS);
      await until('both sockets deliver', () =>
        ['one\n', 'other\n'].every((text) => failing.texts.includes(text)),
      );
      await until('the others have it', () => kept.every((client) => read(client) === 'theirs\n'));
      t.equal(failing.clients.counts.clients.now, 1);
      t.strictSame(other.failures, []);
      t.strictSame(other.reported, ['1 joined', '2 joined']);
      t.notOk(kept.some(({ closed }) => closed));
    },
  );
}

t.test('clients that come before the other thread is there are served by it', { skip }, async (t) => {
  const failing = await open(t, 1);
  await udpSend(failing.ports[0]!, ['fail by a mistake\n']);
  await until('the failure is told', () => failing.failures.length > 0);
  t.notOk(failing.clients.isOpen);
  const client = await failing.join();
  t.strictSame(failing.reported, ['1 joined']);
  await udpSend(failing.ports[0]!, ['one\n']);
  await until('it has it', () => read(client) === 'one\n');
});

t.test('a socket alone, which its thread blocks in, goes on, too', { skip }, async (t) => {
  const threads = new Threads(loadLibc());
  const fd = openSocket(loadLibc(), 4);
  bindSocket(loadLibc(), fd, { address: '127.0.0.1', port: 0 });
  const port = localPort(loadLibc(), fd);
  const { assignment, texts } = assignmentOf(fd);
  threads.expect();
  threads.start(assignment);
  await udpSend(port, ['before\n']);
  await until('it is received from', () => texts.length === 1);
  await udpSend(port, ['fail by a mistake\n']);
  // The thread may fail with the first of them, too.
  await until('what came after it', async () => {
    await udpSend(port, ['after\n']);
    return texts.includes('after\n');
  });
  t.notOk(texts.includes('fail by a mistake\n'));
  assignment.stop();
  await assignment.ended;
  closeSync(fd);
  await until('no thread', () => threads.count === 0);
});

t.test('a descriptor that the thread closed before it failed is not closed again', { skip }, async (t) => {
  const failing = await open(t, 1);
  const [first, second] = [await failing.join(), await failing.join()];
  await udpSend(failing.ports[0]!, ['fail after the next close\n']);
  await until('it knows', () => failing.texts.length === 1);
  const [fd] = failing.descriptors;
  first.socket.resetAndDestroy();
  await once(first.socket, 'close');
  // The event loop learns of the end of the thread after this.
  const reused = reopen(t, fd!);
  await until('the failure is told', () => failing.failures.length > 0);
  t.match(failing.failures, [{ clients: 2 }]);
  t.ok(fstatSync(reused).isCharacterDevice(), 'the other user of the number has it');
  await until('the other client is disconnected', () => second.closed);
});

t.test('a thread that fails again and again ends what it does, with its error', { skip }, async (t) => {
  const failing = await open(t);
  const client = await failing.join();
  const ends = failing.assignments.map(({ ended }) =>
    ended.then(
      () => 'ended',
      (error) => error.code,
    ),
  );
  for (let i = 0; i < 5; i++) {
    await udpSend(failing.ports[0]!, ['fail by the heap\n']);
    if (i < 4) await until('it is replaced', () => failing.failures.length > i && failing.clients.isOpen);
  }
  t.strictSame(await Promise.all(ends), Array(2).fill('ERR_WORKER_OUT_OF_MEMORY'));
  t.equal(failing.failures.length, 4);
  await until('its client is disconnected', () => client.closed);
  t.equal(failing.clients.size, 0);
});

function read({ chunks }: TcpClient): string {
  return String(Buffer.concat(chunks));
}

/** Opens files until one has this descriptor, which another thread is about to close. A file gets the lowest free one (open(2)). */
function reopen(t: Test, descriptor: number): number {
  const deadline = performance.now() + 5000;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (performance.now() < deadline) {
    const fd = openSync('/dev/null', 'r');
    if (fd > descriptor) {
      closeSync(fd);
      Atomics.wait(pause, 0, 0, 5);
      continue;
    }
    t.teardown(() => closeSync(fd));
    if (fd === descriptor) return fd;
  }
  throw new Error(`nobody closed descriptor ${descriptor}`);
}

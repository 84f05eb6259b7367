// Whatever comes on a TLS port of the running command: nothing fails, all comes back, and other clients are served meanwhile.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { connect as connectSecurely, type SecureVersion } from 'node:tls';
import t, { type Test } from 'tap';
import { relay } from '../net/tls-channels.js';
import { clientHello, DATA, ENCRYPTED, inputs, record } from '../net/tls-inputs.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { answered, httpsOrigin } from './https-origin.js';
import { isUnharmed, type SecureProgram, secureProgram } from './secure-program.js';

const MIB = 2 ** 20;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const HERE = { routes: [{ path: '/', respond: { body: 'here' } }] };
const REQUEST = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';

/** Does something while another client asks all the time, and looks at the command afterwards. */
async function meanwhile(t: Test, program: SecureProgram, act: () => Promise<void>): Promise<void> {
  let isOver = false;
  const ask = async () => {
    let count = 0;
    do {
      const answer = await program.ask();
      if (answer !== '200 here') t.fail(`another client: ${answer}`);
      count++;
    } while (!isOver);
    return count;
  };
  const acted = act().finally(() => {
    isOver = true;
  });
  const [count] = await Promise.all([ask(), acted]);
  t.comment(`${count} requests of others`);
  await isUnharmed(t, program);
}

/** Calls something so often, some of them at a time. */
async function often(count: number, act: (i: number) => Promise<unknown>): Promise<void> {
  const TOGETHER = 20;
  let next = 0;
  const one = async () => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: TOGETHER }, one));
}

/** Sends bytes in pieces, and leaves in one way or another. */
async function sendRaw(random: Random, port: number, bytes: Buffer): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true }).on('error', () => undefined);
  const closed = new Promise((resolve) => socket.resume().once('close', resolve));
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  const size = random.pick([1, 7, 100, bytes.length, bytes.length]);
  for (let at = 0; at < Math.min(bytes.length, 300 * size); at += size) {
    socket.write(bytes.subarray(at, at + size));
    if (size < 100) await turn();
  }
  // Some wait for what the gateway does.
  const chance = random.next();
  if (chance < 0.4) socket.end();
  else if (chance < 0.8) socket.resetAndDestroy();
  await closed;
}

t.test('random and mutated bytes instead of a handshake', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const program = await secureProgram(t, () => ({ ...HERE, timeouts: { tls_handshake: '300ms' } }));
  const { gateway, handshakes } = program;
  const kinds = Object.values(inputs(await clientHello(), random));
  const send = (count: number) =>
    often(count, (i) => sendRaw(random, gateway.port, kinds[i % kinds.length]!()));
  await meanwhile(t, program, () => send(300));
  const before = process.platform === 'linux' ? [gateway.memory, gateway.descriptors] : [0, 0];
  await meanwhile(t, program, () => send(300));
  t.ok((await handshakes('failed')) > 450, `${await handshakes('failed')} of 600 failed`);
  if (process.platform !== 'linux') return;
  const growth = (gateway.memory - before[0]!) / MIB;
  t.ok(growth < 40, `its memory grew by ${growth.toFixed(1)} MiB`);
  await until('no descriptor is left', () => gateway.descriptors <= before[1]!);
});

/** A request, by TLS to a port. @returns how it ended */
function askThrough(t: Test, port: number, maxVersion: SecureVersion): Promise<string> {
  const socket = connectSecurely({ port, host: '127.0.0.1', rejectUnauthorized: false, maxVersion });
  t.teardown(() => socket.destroy());
  let text = '';
  socket.write(REQUEST);
  return new Promise((resolve) => {
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (text.endsWith('here')) socket.end();
    });
    socket.on('error', () => undefined).on('close', () => resolve(text.slice(9, 12)));
  });
}

t.test('a handshake whose every byte comes by itself', async (t) => {
  const program = await secureProgram(t, () => HERE);
  const path = await relay(t, program.gateway.port, async (bytes, on, fromClient) => {
    if (!fromClient) return on.write(bytes);
    for (let at = 0; at < bytes.length; at++) {
      on.write(bytes.subarray(at, at + 1));
      await turn();
    }
  });
  await meanwhile(t, program, async () => {
    for (const version of VERSIONS) t.equal(await askThrough(t, path.port, version), '200', version);
  });
});

/** What becomes of bytes that are on their way. */
const TAMPERINGS: ((random: Random, bytes: Buffer) => Buffer)[] = [
  (random, bytes) => {
    const changed = Buffer.from(bytes);
    changed[random.integer(0, bytes.length - 1)]! ^= random.integer(1, 255);
    return changed;
  },
  (random, bytes) => Buffer.concat([bytes, record(DATA, random.bytes(random.integer(1, 300)))]),
  (random, bytes) => Buffer.concat([record(random.integer(20, 255), random.bytes(50)), bytes]),
  (random, bytes) => Buffer.concat([bytes, random.bytes(random.integer(1, 300))]),
  (_, bytes) => Buffer.concat([bytes, bytes]),
  (random, bytes) => bytes.subarray(0, random.integer(0, bytes.length)),
  (_, bytes) => Buffer.concat([bytes, record(DATA, Buffer.alloc(ENCRYPTED + 1))]),
];

/** Passes a connection on; what one side sends as its n-th piece is tampered with, and the sockets of both sides end in a moment. */
function tampering(random: Random, ofClient: boolean) {
  const counts = new WeakMap<Socket, { left: number }>();
  return (bytes: Buffer, on: Socket, fromClient: boolean) => {
    if (fromClient !== ofClient) return void on.write(bytes);
    const count = counts.get(on) ?? { left: random.integer(0, 3) };
    counts.set(on, count);
    const isIt = count.left-- === 0;
    on.write(isIt ? random.pick(TAMPERINGS)(random, bytes) : bytes);
    if (isIt) setTimeout(() => on.destroy(), random.integer(5, 50));
  };
}

t.test('bytes of clients that are tampered with, in the handshake and behind it', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const program = await secureProgram(t, () => HERE);
  const path = await relay(t, program.gateway.port, tampering(random, true));
  const statuses = new Map<string, number>();
  await meanwhile(t, program, () =>
    often(300, async (i) => {
      const status = await askThrough(t, path.port, VERSIONS[i % 2]!);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }),
  );
  t.comment(JSON.stringify([...statuses]));
  // What was tampered with behind the response does not matter any more.
  for (const status of statuses.keys()) t.match(status, /^(|200|400)$/);
  t.ok(statuses.has('200') && statuses.has(''));
});

t.test('bytes of an https upstream that are tampered with', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const body = 'x'.repeat(20_000);
  const program = await secureProgram(t, async ({ file }, pair) => {
    const origin = await httpsOrigin(t, pair, (socket) => socket.end(answered(body, true)));
    const path = await relay(t, origin.port, tampering(random, false));
    const upstream = `https://127.0.0.1:${path.port}`;
    const timeouts = { connect: '1s', response_head: '1s', response_body: '1s' };
    return { timeouts, routes: [...HERE.routes, { path: '/up', upstream, tls_ca: file }] };
  });
  const results = new Map<string, number>();
  await meanwhile(t, program, () =>
    often(300, async () => {
      const result = await program.ask('/up').catch(() => 'cut');
      const shown = result === `200 ${body}` ? 'whole' : result.slice(0, 40);
      results.set(shown, (results.get(shown) ?? 0) + 1);
    }),
  );
  t.comment(JSON.stringify([...results]));
  for (const result of results.keys()) t.match(result, /^(whole|cut|50[234] )/);
  t.ok(results.has('whole') && results.size > 1);
});

t.test('connections that end in every phase', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const program = await secureProgram(t, () => HERE);
  const { gateway } = program;
  /** Bytes until an end, of each direction. */
  const limits = new WeakMap<Socket, { left: number }>();
  const path = await relay(t, gateway.port, async (bytes, on, fromClient) => {
    const most = fromClient ? 2200 : 1500;
    const limit = limits.get(on) ?? { left: random.next() < 0.5 ? random.integer(0, most) : Infinity };
    limits.set(on, limit);
    on.write(bytes.subarray(0, limit.left));
    limit.left -= bytes.length;
    if (limit.left > 0) return;
    const leave = random.pick([() => on.end(), () => on.destroy(), () => on.resetAndDestroy()]);
    await turn();
    leave();
  });
  await meanwhile(t, program, () => often(400, async (i) => askThrough(t, path.port, VERSIONS[i % 2]!)));
});

t.test('300 slow handshakes are closed after timeouts.tls_handshake', async (t) => {
  const LIMIT = 1000;
  const program = await secureProgram(t, () => ({ ...HERE, timeouts: { tls_handshake: `${LIMIT}ms` } }));
  const { gateway, handshakes } = program;
  const hello = await clientHello();
  await meanwhile(t, program, async () => {
    const started = performance.now();
    const times: number[] = [];
    const sockets = Array.from({ length: 300 }, () => connect({ port: gateway.port, host: '127.0.0.1' }));
    for (const socket of sockets)
      socket
        .on('error', () => undefined)
        .on('close', () => times.push(performance.now() - started))
        .resume();
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    // Some send nothing, some a part, some the whole ClientHello and nothing behind it, some a byte every now and then.
    for (const [i, socket] of sockets.entries())
      if (i % 4 === 1) socket.write(hello.subarray(0, 100));
      else if (i % 4 === 2) socket.write(hello);
    let at = 0;
    const timer = setInterval(() => {
      for (const [i, socket] of sockets.entries())
        if (i % 4 === 3 && !socket.destroyed) socket.write(hello.subarray(at, at + 1));
      at++;
    }, 20);
    t.teardown(() => clearInterval(timer));
    await until('all are closed', () => times.length === sockets.length, 8 * LIMIT);
    clearInterval(timer);
    t.ok(Math.min(...times) >= LIMIT / 2, `the first after ${Math.min(...times).toFixed(0)} ms`);
    t.comment(`the last after ${Math.max(...times).toFixed(0)} ms`);
  });
  await until('all are counted', async () => (await handshakes('failed')) === 300);
});

import { once } from 'node:events';
import { connect } from 'node:tls';
import { Worker } from 'node:worker_threads';
import { type TicketSeed, type TlsServer, ticketSeed, useTicketSeed } from 'mproxy-net';
import { TicketKeys } from 'mproxy-net/linux/tls/ticket-keys';
import t, { type Test } from 'tap';
import { Authority } from '../support/certificates.js';
import type { Report, Task } from './ticket-worker.js';
import { notLinux } from './tls-channels.js';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

/** A worker with a listener of the linux engine's streams. */
async function startWorker(t: Test, tls: TlsServer, seed: TicketSeed = ticketSeed()) {
  const workerData: Task = { seed, tls };
  const worker = new Worker(new URL('./ticket-worker.js', import.meta.url), { workerData });
  t.teardown(() => worker.terminate());
  const [{ port }] = (await once(worker, 'message')) as [Extract<Report, { port: number }>];
  return { worker, port };
}

type Started = Awaited<ReturnType<typeof startWorker>>;

/** Connects. @returns what the worker says of the connection, and a session for the next one */
async function visit({ port }: Started, options: object, session?: Buffer) {
  const socket = connect({ host: '127.0.0.1', port, ...options, ...(session && { session }) });
  let text = '';
  let ticket: Buffer | undefined;
  socket.on('session', (session) => {
    ticket = session;
  });
  socket.on('data', (bytes) => {
    text += bytes;
  });
  await once(socket, 'end');
  // The new ticket of a resumed session of TLS 1.2 makes no event.
  ticket ??= socket.getSession();
  return { ...(JSON.parse(text) as { resumed: boolean; verified: boolean }), ticket };
}

/** Connects, to be refused. @returns why, by the worker */
async function refusal({ worker, port }: Started, options: object, session?: Buffer): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, ...options, ...(session && { session }) });
  socket.on('error', () => undefined).resume();
  const [{ refused }] = (await once(worker, 'message')) as [Extract<Report, { refused: string }>];
  socket.destroy();
  return refused;
}

t.test(
  'workers that were given the seed resume the sessions of each other',
  { skip: notLinux },
  async (t) => {
    const authority = await Authority.make(t);
    const pairs = [await authority.sign({ dns: ['a.test'] })];
    const renewed = [await authority.sign({ dns: ['a.test'] })];
    const [one, two] = [await startWorker(t, { pairs }), await startWorker(t, { pairs })];
    const stranger = await startWorker(t, { pairs }, new TicketKeys().seed);
    const successor = await startWorker(t, { pairs: renewed });
    for (const maxVersion of VERSIONS) {
      const options = { ca: authority.pem, servername: 'a.test', maxVersion };
      const first = await visit(one, options);
      t.equal(first.resumed, false, maxVersion);
      const second = await visit(two, options, first.ticket);
      t.equal(second.resumed, true, 'by the other');
      t.equal((await visit(one, options, second.ticket)).resumed, true, 'and back');
      t.equal((await visit(stranger, options, first.ticket)).resumed, false, 'other keys');
      t.equal((await visit(successor, options, first.ticket)).resumed, false, 'another certificate');
    }
  },
);

t.test('a session of another client CA is refused across workers', { skip: notLinux }, async (t) => {
  const [authority, other] = [await Authority.make(t), await Authority.make(t, 'another')];
  const pairs = [await authority.sign({ dns: ['a.test'] })];
  const member = await authority.sign({ dns: ['me.test'] });
  const open = await startWorker(t, { pairs });
  const [one, two] = [
    await startWorker(t, { pairs, clientCa: authority.pem }),
    await startWorker(t, { pairs, clientCa: authority.pem }),
  ];
  const strict = await startWorker(t, { pairs, clientCa: other.pem });
  for (const maxVersion of VERSIONS) {
    const anonymous = { ca: authority.pem, servername: 'a.test', maxVersion };
    const known = { ...anonymous, cert: member.cert, key: member.key };
    const first = await visit(one, known);
    t.match(first, { resumed: false, verified: true }, maxVersion);
    t.match(await visit(two, known, first.ticket), { resumed: true, verified: true });
    t.match(await visit(open, known, first.ticket), { resumed: false, verified: false });
    // Node sends its CA, too.
    t.equal(await refusal(strict, known, first.ticket), 'SELF_SIGNED_CERT_IN_CHAIN');
    t.equal(await refusal(strict, anonymous, first.ticket), 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE');
    const unverified = await visit(open, anonymous);
    t.equal(await refusal(two, anonymous, unverified.ticket), 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE');
  }
});

t.test('a seed is for a thread without keys, and has 32 bytes', async (t) => {
  const seed = ticketSeed();
  t.throws(() => useTicketSeed(seed), { message: 'this thread has session ticket keys already' });
  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    import('mproxy-net')
      .then(({ useTicketSeed }) => useTicketSeed({ secret: new Uint8Array(31), period: 0 }))
      .catch((error) => parentPort.postMessage(error));`;
  const worker = new Worker(script, { eval: true });
  t.teardown(() => worker.terminate());
  const [error] = await once(worker, 'message');
  t.match(error, { name: 'RangeError', message: 'a ticket secret of 31 bytes: it has 32' });
});

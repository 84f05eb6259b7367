import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Worker } from 'node:worker_threads';
import type { TlsClient, TlsServer } from 'mproxy-net';
import { TICKET_KEY_MS, TicketKeys } from 'mproxy-net/linux/tls/ticket-keys';
import { SessionTickets } from 'mproxy-net/linux/tls/tickets';
import t, { type Test } from 'tap';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { clientContext, type Driven, descriptorOf, dial, notLinux, parts, serve } from './tls-channels.js';
import type { Served, Task } from './tls-worker.js';

/** A worker thread, and a port whose connections it serves. */
async function startWorker(t: Test, task: Task) {
  const worker = new Worker(new URL('./tls-worker.js', import.meta.url), { workerData: task });
  await once(worker, 'message');
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, async (socket) => {
    worker.postMessage(descriptorOf(socket));
    await once(worker, 'message').finally(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    server.close();
    await worker.terminate();
  });
  return { worker, port: (server.address() as AddressInfo).port };
}

type Started = Awaited<ReturnType<typeof startWorker>>;

/** Connects with a session, exchanges a word, and ends. @returns what the worker says, and the newest session */
async function visit(t: Test, { port, worker }: Started, options: object, session?: Buffer) {
  const served = once(worker, 'message') as Promise<[Served]>;
  const socket = connectTls({ host: '127.0.0.1', port, ...options, ...(session && { session }) });
  t.teardown(() => socket.destroy());
  let ticket: Buffer | undefined;
  socket.on('session', (session) => {
    ticket = session;
  });
  let over = false;
  socket.on('error', () => undefined);
  socket.on('close', () => {
    over = true;
  });
  socket.on('data', () => {
    over = true;
  });
  socket.write('word');
  await until('it echoes, or refuses', () => over);
  socket.end();
  const [facts] = await served;
  return { facts, ticket };
}

t.test('keys: one after another, the last but one still accepted, and the same in each thread', async (t) => {
  let now = 5 * TICKET_KEY_MS + 1;
  const clock = () => now;
  const keys = new TicketKeys(undefined, clock);
  const first = keys.current;
  t.strictSame([first.name.length, first.cipher.length, first.mac.length], [16, 32, 32]);
  const other = new TicketKeys(structuredClone(keys.seed), clock);
  t.strictSame(other.current, first);
  now += TICKET_KEY_MS - 2;
  t.equal(keys.current, first, 'for all of its period');
  now += 1;
  const second = keys.current;
  t.notOk(
    second.name.equals(first.name) || second.cipher.equals(first.cipher) || second.mac.equals(first.mac),
  );
  t.strictSame(keys.find(first.name), first, 'still accepted');
  t.strictSame(other.find(second.name), second);
  const late = new TicketKeys(structuredClone(keys.seed), clock);
  t.strictSame([late.current, late.find(first.name)], [second, first]);
  now += TICKET_KEY_MS;
  t.equal(keys.find(first.name), undefined, 'forgotten');
  t.strictSame(keys.find(second.name), second);
  now += 10 * TICKET_KEY_MS;
  t.equal(keys.find(second.name), undefined);
  t.strictSame(keys.current, other.current, 'after a long sleep, too');
  now = 0;
  t.strictSame(keys.current, other.current, 'a clock that goes back changes nothing');
  t.notOk(
    new TicketKeys(undefined, clock).current.name.equals(new TicketKeys(undefined, clock).current.name),
  );
});

t.test('workers resume the sessions of each other, TLS 1.2 and 1.3', { skip: notLinux }, async (t) => {
  const authority = await Authority.make(t);
  const [own, second] = [
    await authority.sign({ dns: ['a.test'] }),
    await authority.sign({ dns: ['b.test'] }),
  ];
  const task: Task = { tls: { pairs: [own, second], alpn: ['echo'] }, seed: new TicketKeys().seed };
  const [one, two] = [await startWorker(t, task), await startWorker(t, task)];
  const stranger = await startWorker(t, { ...task, seed: new TicketKeys().seed });
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { ca: authority.pem, servername: 'b.test', maxVersion, ALPNProtocols: ['echo'] };
    const fresh = await visit(t, one, options);
    const agreed = { version: maxVersion, serverName: 'b.test', alpn: 'echo' };
    t.match(fresh.facts, { ...agreed, resumed: false });
    t.match((await visit(t, two, options, fresh.ticket)).facts, { ...agreed, resumed: true }, maxVersion);
    t.match((await visit(t, one, options, fresh.ticket)).facts, { ...agreed, resumed: true });
    t.match(
      (await visit(t, stranger, options, fresh.ticket)).facts,
      { ...agreed, resumed: false },
      'other keys',
    );
    const renamed = { ...options, servername: 'a.test' };
    t.match((await visit(t, two, renamed, fresh.ticket)).facts, { serverName: 'a.test', resumed: false });
  }
});

t.test('a session is resumed only under the client CA that it began with', { skip: notLinux }, async (t) => {
  const [authority, other] = [await Authority.make(t), await Authority.make(t, 'another')];
  const own = await authority.sign({ dns: ['a.test'] });
  const seed = new TicketKeys().seed;
  const start = (tls: Partial<TlsServer>) => startWorker(t, { tls: { pairs: [own], ...tls }, seed });
  const [open, same, strict] = [
    await start({}),
    await start({ clientCa: authority.pem }),
    await start({ clientCa: other.pem }),
  ];
  const again = await start({ clientCa: authority.pem });
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const trust = { ca: authority.pem, servername: 'a.test', maxVersion };
    const member = await authority.sign({ dns: ['me.test'] });
    const mine = { cert: member.cert, key: member.key };
    const anonymous = await visit(t, open, trust);
    t.match(anonymous.facts, { resumed: false });
    const refused = { code: 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE' };
    t.match((await visit(t, same, trust, anonymous.ticket)).facts, refused, maxVersion);
    const known = await visit(t, same, { ...trust, ...mine });
    t.match(known.facts, { resumed: false });
    const resumed = await visit(t, again, { ...trust, ...mine }, known.ticket);
    t.match(resumed.facts, { resumed: true });
    t.strictSame(
      (resumed.facts as { peerCertificate: Buffer }).peerCertificate,
      (known.facts as { peerCertificate: Buffer }).peerCertificate,
      'and is still told',
    );
    const unknown = await visit(t, strict, { ...trust, ...mine }, known.ticket);
    // Node sends its CA, too.
    t.match(unknown.facts, { code: 'SELF_SIGNED_CERT_IN_CHAIN' });
    const without = await visit(t, strict, trust, known.ticket);
    t.match(without.facts, refused);
  }
});

t.test('a session ticket outlives one change of keys, and no second', { skip: notLinux }, async (t) => {
  const authority = await Authority.make(t);
  const own = await authority.sign({ dns: ['a.test'] });
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    let now = TICKET_KEY_MS * 3;
    const its = new SessionTickets(parts().ssl, new TicketKeys(undefined, () => now));
    const servers: Promise<Driven>[] = [];
    const { port } = await serve(t, { pairs: [own] }, (server) => servers.push(server.handshake()), its);
    const connect = async (session?: Buffer) => {
      const options = { host: '127.0.0.1', port, ca: authority.pem, servername: 'a.test', maxVersion };
      const socket = connectTls({ ...options, ...(session && { session }) });
      let ticket: Buffer | undefined;
      socket.on('session', (session) => {
        ticket = session;
      });
      await once(socket, 'secureConnect');
      await until('it is accepted', () => servers.length > 0);
      const { resumed } = (await servers.pop()!).channel.facts;
      // The new ticket of a resumed session of TLS 1.2 makes no event.
      if (maxVersion === 'TLSv1.2') ticket = socket.getSession();
      await until('a session', () => ticket !== undefined);
      socket.destroy();
      return { resumed, ticket };
    };
    const first = await connect();
    t.equal(first.resumed, false);
    now += TICKET_KEY_MS;
    const second = await connect(first.ticket);
    t.equal(second.resumed, true, maxVersion);
    now += TICKET_KEY_MS;
    t.equal((await connect(first.ticket)).resumed, false);
    t.equal((await connect(second.ticket)).resumed, true, 'it was renewed');
  }
});

t.test(
  'a client resumes its sessions, of the same server, name and credentials alone',
  { skip: notLinux },
  async (t) => {
    const authority = await Authority.make(t);
    const own = await authority.sign({ dns: ['a.test', 'b.test'] });
    const servers: Promise<Driven>[] = [];
    const started = () => serve(t, { pairs: [own] }, (server) => servers.push(server.handshake()));
    const [one, two] = [await started(), await started()];
    const tls: TlsClient = { credentials: { ca: authority.pem }, serverName: 'a.test', insecure: false };
    const context = clientContext(t, tls);
    const resumes = async (port: number, more: Partial<TlsClient> = {}, from = context) => {
      const client = await dial(t, from, port, { ...tls, ...more });
      await client.handshake();
      await client.accepted();
      const server = await servers.pop()!;
      t.equal(server.channel.facts.resumed, client.channel.facts.resumed);
      t.ok(client.channel.facts.peerCertificate, 'verified, resumed or not');
      client.close();
      return client.channel.facts.resumed;
    };
    t.equal(await resumes(one.port), false);
    t.equal(await resumes(one.port), true);
    t.equal(await resumes(one.port), true, 'by the ticket of the second');
    t.equal(await resumes(two.port), false);
    t.equal(await resumes(one.port, { serverName: 'b.test' }), false);
    t.equal(await resumes(one.port, { insecure: true }), false);
    const pair = await authority.sign({ dns: ['me.test'] });
    const identified = clientContext(t, { credentials: { ...tls.credentials, pair } });
    t.equal(await resumes(one.port, {}, identified), false, 'with a certificate of its own');
    t.equal(await resumes(one.port), true);
  },
);

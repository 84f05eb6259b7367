import { jetstreamManager } from '@nats-io/jetstream';
import { createUser } from '@nats-io/nkeys';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';
import { Folder } from './folder.js';
import { jetConfig } from './jet.js';
import { credentials } from './jwt.js';
import { peerOf } from './peer.js';
import { NatsServer, noServer } from './server.js';

/** Both roles, with a good login: what one sends, the other writes. */
async function passes(t: Test, url: string): Promise<void> {
  const ours = start(t, 'server', ['--path', '-', '--listen-addr', url]);
  await ours.says('connected to');
  const client = start(t, 'client', ['--path', '-', '--server-addr', url]);
  client.child.stdin!.end('hello\n');
  t.equal(await client.exited, 0, client.stderr);
  await until('the line', () => String(ours.stdout) === 'hello\n');
  t.notMatch(`${ours.stderr}${client.stderr}`, /s3cret/);
  t.equal(await ours.stop(), 0);
}

/** Both roles, with a bad login: exit status 1, and the reason. */
async function fails(t: Test, url: string, why: RegExp): Promise<void> {
  const ours = start(t, 'server', ['--path', '-', '--listen-addr', url]);
  t.equal(await ours.exited, 1);
  t.match(ours.stderr, why);
  const client = start(t, 'client', ['--path', '-', '--server-addr', url]);
  client.child.stdin!.end('a line\n');
  t.equal(await client.exited, 1);
  const [first = '', ...others] = client.stderr.split(/(?<=\n)/);
  t.match(first, why, 'the cause is the first line');
  for (const line of others) t.match(line, /lost in all: .*dropped 1 datagram: nothing could be sent$/m);
  t.notMatch(`${ours.stderr}${client.stderr}`, /s3cret/);
}

const REFUSED = /(receiving|sending): .*: the server reports: Authorization Violation\n$/;

t.test('user and password', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t, {
    config: 'authorization { user: "a user", password: "p@s:s3cret" }',
  });
  await passes(t, server.url('x', 'a%20user:p%40s:s3cret@'));
  await fails(t, server.url('x', 'a%20user:s3cret@'), REFUSED);
  await fails(t, server.url('x'), REFUSED);
});

t.test('a bad login: what frame=mold and --log json say', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t, { config: 'authorization { token: "s3cret" }' });
  const url = server.url('x', 'wrong@');
  const session = start(t, 'client', ['--path', '-', '--server-addr', `${url},frame=mold`]);
  session.child.stdin!.end('a line\n'.repeat(1000));
  t.equal(await session.exited, 1);
  t.notMatch(session.stderr, /sent,/);
  t.match(session.stderr, /session \w+: 1,000 messages, but \d+ packets? of them (was|were) not sent/);
  const json = start(t, 'client', ['--path', '-', '--server-addr', url, '--log', 'json']);
  json.child.stdin!.end('a line\n');
  t.equal(await json.exited, 1);
  const messages = json.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const address = server.url('x', '***@');
  t.match(messages[0], {
    event: 'sending_refused',
    fields: { address, reason: 'the server reports: Authorization Violation' },
  });
});

t.test(
  'a login that may not acknowledge: what is not acknowledged is received again, and not called lost',
  { skip: noServer },
  async (t) => {
    const permissions = '{ publish: ["a", "$JS.API.>"] }';
    const server = await NatsServer.start(t, {
      config: `${jetConfig(t)}
authorization { users: [{ user: all, password: p }, { user: u, password: p, permissions: ${permissions} }] }`,
    });
    const peer = await peerOf(t, server, { user: 'all', pass: 'p' });
    await (await jetstreamManager(peer)).streams.add({ name: 'S', subjects: ['a'], storage: 'file' });
    peer.publish('a', 'one\n');
    const url = `${server.url('a', 'u:p@')},stream=S,durable=D`;
    const ours = start(t, 'server', ['--path', '-', '--listen-addr', url, '--from-start']);
    await ours.says(
      /Permissions Violation .*; until the login has this permission messages are received again/,
    );
    t.notMatch(ours.stderr, /data are lost/);
    t.equal(await ours.stop(), 0);
  },
);

t.test('a token', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t, { config: 'authorization { token: "s3cret" }' });
  await passes(t, server.url('x', 's3cret@'));
  await fails(t, server.url('x', 's3cret2@'), REFUSED);
});

t.test('a key: its seed alone in the file', { skip: noServer }, async (t) => {
  const folder = new Folder(t);
  const user = createUser();
  const server = await NatsServer.start(t, {
    config: `authorization { users: [{ nkey: ${user.getPublicKey()} }] }`,
  });
  const file = folder.write('seed', Buffer.from(user.getSeed()).toString());
  await passes(t, `${server.url('x')},creds=${file}`);
  const other = folder.write('other', Buffer.from(createUser().getSeed()).toString());
  await fails(t, `${server.url('x')},creds=${other}`, REFUSED);
  await fails(
    t,
    `${server.url('x')},creds=${folder.path('none')}`,
    /creds: .*none: no such file or directory\n$/,
  );
});

t.test('a credentials file: JWT and seed', { skip: noServer }, async (t) => {
  const folder = new Folder(t);
  const { config, creds } = credentials();
  const server = await NatsServer.start(t, { config });
  await passes(t, `${server.url('x')},creds=${folder.write('a.creds', creds)}`);
  const other = folder.write('other.creds', credentials().creds);
  await fails(t, `${server.url('x')},creds=${other}`, REFUSED);
});

t.test(
  'permissions: a subscription ends at the start, publishing is reported and counted',
  { skip: noServer },
  async (t) => {
    const permissions = '{ publish: ["ok"], subscribe: ["ok"] }';
    const server = await NatsServer.start(t, {
      config: `authorization { users: [{ user: u, password: p, permissions: ${permissions} }] }`,
    });
    await passes(t, server.url('ok', 'u:p@'));
    const ours = start(t, 'server', ['--path', '-', '--listen-addr', server.url('not', 'u:p@')]);
    t.equal(await ours.exited, 1);
    t.match(ours.stderr, /Permissions Violation for Subscription to "not"/);
    t.notMatch(ours.stderr, /disconnected/, 'it never received');
    const client = start(t, 'client', ['--path', '-', '--server-addr', server.url('not', 'u:p@')]);
    client.child.stdin!.end('hello\n');
    t.equal(await client.exited, 1);
    t.match(client.stderr, /Permissions Violation for Publish to "not"/);
    t.match(client.stderr, /lost in all: .*permission denied, 1 time; the login may not publish/);
  },
);

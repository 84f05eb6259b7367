import { JetError, notCovered } from 'mproxy-flow/endpoints/nats/jet-api';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { hostile, INFO, logIn } from './hostile.js';

const receive = (t: Test, url: string) => start(t, 'server', ['--path', '-', '--listen-addr', url]);

const GREETINGS: [string, string, RegExp][] = [
  [
    'not NATS',
    'HTTP/1.1 400 Bad Request\r\n',
    /the server violates the protocol: unknown operation "HTTP\/1.1"/,
  ],
  ['an endless line', `INFO ${'x'.repeat(70_000)}`, /violates the protocol: a line of more than 65536 bytes/],
  ['no JSON', 'INFO {\r\n', /violates the protocol: INFO that is not JSON/],
  ['a message first', `${INFO}MSG a 1 1\r\nx\r\n`, /violates the protocol: data before CONNECT/],
  ['INFO twice', INFO + INFO, /violates the protocol: a second INFO before CONNECT/],
  ['a terminal sequence', `${INFO}-ERR '\x1b[2J'\r\n`, /the server reports: \?\[2J;/],
  ['nothing more', '', /closed by the server/],
];

t.test('a greeting that is none: reported, and tried again', async (t) => {
  for (const [name, greeting, why] of GREETINGS) {
    const { url } = await hostile(t, (socket) => socket.end(greeting));
    const ours = receive(t, url);
    await ours.says(why).catch((error) => t.fail(`${name}: ${error.message}`));
    await ours.says('trying again');
    t.equal(await ours.stop(), 0, name);
  }
});

t.test('the name of a server: no line and no command of a terminal', async (t) => {
  const name = '\x1b[31mred\x1b]0;title\x07\r\nmproxy-server: forged\u009b\u2028';
  const info = INFO.replace('{', `{"server_name":${JSON.stringify(name)},`);
  const { url } = await hostile(t, (socket) => logIn(socket, () => socket.write('PONG\r\n'), info));
  const ours = receive(t, url);
  await ours.says('connected to');
  t.equal(await ours.stop(), 0);
  t.match(ours.stderr, /connected to .* \(\?\[31mred\?\]0;title\?\?\?mproxy-server: forged\?\?\)\n/);
});

t.test(
  'errors with the text of a server: on one line, and no command for a shell that it wrote',
  async (t) => {
    t.equal(new JetError('a\x1b[0m\nb\u2028c é', true).message, 'a?[0m?b?c é');
    const good = notCovered('S', ["it's", 'b.>'], 'a').message;
    t.match(good, /add it: nats stream edit S --subjects 'it'\\''s,b\.>,a'$/);
    for (const subjects of [['\x1b[31mevil'], ['a b; reboot'], Array(17).fill('b')])
      t.match(notCovered('S', subjects, 'a').message, /not the subject; add it to its subjects$/);
  },
);

t.test('two servers that both shut down at once: moves between them become rare', async (t) => {
  const servers = await Promise.all(
    [1, 2].map(() =>
      hostile(t, (socket) => logIn(socket, () => socket.write(INFO.replace('{', '{"ldm":true,')))),
    ),
  );
  const hosts = servers.map(({ url }) => url.slice('nats://'.length, -'/a'.length));
  const since = performance.now();
  const ours = receive(t, `nats://${hosts.join(';')}/a`);
  await ours.says(/(moving to another server.*){3}/s);
  t.ok(performance.now() - since > 2000, 'after 0.5, 1 and 2 s, less a fifth at random');
  t.equal(await ours.stop(), 0);
});

const MESSAGES: [string, string, RegExp][] = [
  ['a wrong size', 'MSG a 1 5\r\nhello, world\r\n', /longer than its size/],
  ['a huge size', 'MSG a 1 99999999999999999999\r\n', /is not a number up to/],
  ['headers longer than the message', 'HMSG a 1 20 10\r\n', /headers of 20 bytes in a message of 10/],
];

t.test('messages that are wrong after a good login: reported, and tried again', async (t) => {
  for (const [name, text, why] of MESSAGES) {
    const { url } = await hostile(t, (socket) =>
      logIn(socket, () => socket.write(`MSG a 1 2\r\nx\n\r\n${text}`)),
    );
    const ours = receive(t, url);
    await ours.says(why).catch((error) => t.fail(`${name}: ${error.message}`));
    await until('the good message', () => ours.stdout.length >= 2);
    t.equal(await ours.stop(), 0, name);
  }
});

t.test('messages before a wrong one, in one chunk: delivered at once, and counted', async (t) => {
  const { url, count } = await hostile(t, (socket, nth) => {
    if (nth === 0) logIn(socket, () => socket.write(`${'MSG a 1 2\r\nx\n\r\n'.repeat(3)}HELLO\r\n`));
  });
  // There is no second login, and messages of the first must not wait for it.
  const ours = start(t, 'server', ['--path', '-', '--listen-addr', url, '--stats', '1']);
  await ours.says(/violates the protocol: unknown operation "HELLO"/);
  await until('it connects again', () => count() >= 2);
  t.equal(String(ours.stdout), 'x\nx\nx\n');
  t.equal(await ours.stop(), 0);
  t.match(ours.stderr, /3 datagrams/);
});

t.test('random bytes after a good login, a hundred times: no crash', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const { url, count } = await hostile(t, (socket) => {
    const bytes = Buffer.concat([Buffer.from(random.pick(['MSG a 1 ', 'HMSG a 1 ', ''])), random.bytes(300)]);
    logIn(socket, () => socket.end(bytes));
  });
  const all = Array.from({ length: 5 }, () => receive(t, url));
  await until('connects', () => count() >= 10, 60_000);
  for (const ours of all) {
    t.ok(ours.running);
    t.equal(await ours.stop(), 0, ours.stderr);
    t.notMatch(ours.stderr, / {4}at /);
  }
});

t.test(
  'PINGs without end to a client whose answers are not read: it disconnects, with bounded memory',
  async (t) => {
    const pings = Buffer.from('PING\r\n'.repeat(10_000));
    const { url, count } = await hostile(t, (socket, nth) => {
      if (nth > 0) return void socket.end();
      logIn(socket, () => {
        socket.pause();
        const more = () => {
          while (socket.writable && socket.write(pings));
        };
        socket.on('drain', more);
        more();
      });
    });
    const ours = receive(t, url);
    await ours.says('the server sends, but reads nothing', 60_000);
    await until('it tries again', () => count() > 1);
    t.equal(await ours.stop(), 0);
  },
);

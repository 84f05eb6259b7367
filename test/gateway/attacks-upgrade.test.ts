// Attacks by Upgrade on programs that believe to be in a tunnel when the other side is not, by the names under which they are known.
import t from 'tap';
import { SWITCHED, tunnel, tunnelClient, tunnelOrigin, upgrade } from '../service/tunnels.js';
import { EVIL, get } from './attacks.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';

/** The next request comes on a connection of its own. */
const answer = (status: string, text: string) =>
  `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

/** The gateway with a route that answers /evil, which clients must not reach, before an origin. */
async function proxied(t: Parameters<typeof program>[0], config: Record<string, unknown> = {}) {
  const origin = await tunnelOrigin(t);
  const gateway = await program(t, {
    routes: [
      { path: '/evil', respond: { status: 403, body: 'denied' } },
      { path: '/', upstream: origin.url },
    ],
    ...config,
  });
  return { origin, gateway };
}

t.test('h2c smuggling: Upgrade to HTTP/2 never reaches an origin', async (t) => {
  const { origin, gateway } = await proxied(t);
  // An origin that would switch: nothing says so to the client.
  origin.onHead = (end) =>
    end.send(/^upgrade:/im.test(end.head) ? SWITCHED.replace('websocket', 'h2c') : answer('200 OK', 'plain'));
  const settings = 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n';
  const requests = {
    'as RFC 7540 has it': upgrade('/', settings)
      .replace('Connection: Upgrade', 'Connection: Upgrade, HTTP2-Settings')
      .replace('websocket', 'h2c'),
    'without HTTP2-Settings in Connection': upgrade('/', settings).replace('websocket', 'h2c'),
    'in capitals': upgrade('/', settings).replace('websocket', 'H2C'),
    'behind another protocol': upgrade('/', settings).replace('websocket', 'foo, h2c'),
    'on a line of its own': upgrade('/', `Upgrade: h2c\r\n${settings}`).replace('websocket', 'foo'),
  };
  for (const [name, text] of Object.entries(requests)) {
    const client = await rawClient(t, gateway.port);
    client.send(text);
    t.match(await client.answered(), [{ status: 200, body: 'plain' }], name);
  }
  t.ok(origin.ends.every(({ head }) => !/^upgrade:/im.test(head)));
  const both = await tunnelClient(t, gateway.port);
  origin.onHead = (end) => end.send(SWITCHED);
  both.send(upgrade('/', settings).replace('Upgrade: websocket', 'Upgrade: h2c, websocket'));
  await both.has('\r\n\r\n');
  t.match(origin.ends.at(-1)!.lines('upgrade'), [/^upgrade: websocket$/i], 'beside websocket it is removed');
});

t.test('websocket smuggling: a status other than 101, then raw bytes', async (t) => {
  const { origin, gateway } = await proxied(t);
  const statuses = {
    'a version that is not served': '426 Upgrade Required',
    'a refusal': '403 Forbidden',
    'an answer': '200 OK',
    'a redirect': '302 Found',
  };
  for (const [name, status] of Object.entries(statuses)) {
    origin.onHead = (end) => end.send(answer(status, 'no tunnel'));
    const text = upgrade('/socket').replace('Version: 13', 'Version: 777');
    // Behind the request at once, and when the response has come.
    for (const [first, second] of [
      [text + EVIL, EVIL],
      [text, EVIL],
    ] as const) {
      const client = await rawClient(t, gateway.port);
      client.send(first);
      t.match(await client.answered(), [{ status: Number(status.split(' ')[0]), body: 'no tunnel' }], name);
      client.send(second);
      await client.ended();
      t.equal(client.statuses.length, 1, 'nothing else is answered');
    }
  }
  t.ok(origin.ends.every((end) => end.behind === ''));
  t.notMatch(origin.ends.map(({ text }) => text).join(''), /evil/);
});

t.test('websocket smuggling: an origin that the client makes answer 101', async (t) => {
  const { origin, gateway } = await proxied(t);
  // Some page of an origin gives the status of another server back.
  for (const text of [get('/status?of=attacker'), `${get('/status?of=attacker')}${EVIL}`]) {
    const client = await rawClient(t, gateway.port);
    client.send(text);
    const [first] = await client.answered();
    t.equal(first!.status, 502);
    await origin.ends.at(-1)!.ended();
    t.equal(origin.ends.at(-1)!.behind, '', 'nothing follows');
  }
  t.notMatch(origin.ends.map(({ text }) => text).join(''), /evil/);
});

t.test(
  'websocket smuggling: a tunnel that the origin did not ask for by the name it was asked by',
  async (t) => {
    const { origin, gateway } = await proxied(t, { upgrades: ['chat'] });
    origin.onHead = (end) => end.send(SWITCHED.replace('websocket', 'chat'));
    const client = await rawClient(t, gateway.port);
    client.send(upgrade() + EVIL);
    t.equal((await client.answered())[0]!.status, 502);
    await origin.ends.at(-1)!.ended();
    t.equal(origin.ends.at(-1)!.behind, '');
  },
);

t.test('request smuggling by a body of a request with Upgrade', async (t) => {
  const { origin, gateway } = await proxied(t);
  origin.onHead = (end) => end.send(answer('200 OK', 'plain'));
  for (const lines of [`Content-Length: ${EVIL.length}\r\n`, 'Transfer-Encoding: chunked\r\n']) {
    const client = await rawClient(t, gateway.port);
    const body = lines.startsWith('C') ? EVIL : `${EVIL.length.toString(16)}\r\n${EVIL}\r\n0\r\n\r\n`;
    client.send(upgrade('/', lines) + body);
    await client.answered();
    const end = origin.ends.at(-1)!;
    t.notMatch(end.head, /^upgrade:/im);
    await end.has(EVIL);
    t.equal(end.behind, body, 'framed as it came');
  }
  const both = await rawClient(t, gateway.port);
  both.send(upgrade('/', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n') + EVIL);
  await both.ended();
  t.strictSame(both.statuses, [400]);
});

t.test('a pipelined request for a tunnel waits for the responses before it', async (t) => {
  const { origin, gateway } = await proxied(t);
  origin.onHead = (end) => end.send(end.head.includes('/socket') ? SWITCHED : answer('200 OK', 'plain'));
  const client = await tunnelClient(t, gateway.port);
  client.send(`${get('/first')}${upgrade('/socket')}raw ${EVIL}`);
  const end = await origin.visited(2);
  await end.has(EVIL);
  await client.has(' 101 ');
  t.equal(end.behind, `raw ${EVIL}`);
  t.match(client.text, /^HTTP\/1\.1 200 [\s\S]*plainHTTP\/1\.1 101 /);
  t.match(await tunnel(t, gateway.port, origin, '/socket'), { client: { status: 101 } });
});

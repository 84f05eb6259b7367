import type { Socket } from 'node:net';
import t from 'tap';
import { until } from '../support/wait.js';
import { program } from './program.js';
import { rawClient } from './raw-client.js';
import { recordingOrigin } from './recording-origin.js';

const ENDS: Record<string, (socket: Socket) => void> = {
  ends: (socket) => socket.end(),
  resets: (socket) => socket.resetAndDestroy(),
};
const LARGE = 'x'.repeat(300_000);
/** What an origin has sent when it ends; whether its end may be that of the body. */
const BEGINNINGS: [name: string, text: string, mayEnd: boolean][] = [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 300001\r\n\r\n', false],
  ['a length and some bytes', 'HTTP/1.1 200 OK\r\nContent-Length: 300001\r\n\r\nabc', false],
  ['all but a byte', `HTTP/1.1 200 OK\r\nContent-Length: 300001\r\n\r\n${LARGE}`, false],
  ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', false],
  ['a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n', false],
  ['a part of a chunk', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n493e1\r\n${LARGE}`, false],
  [
    'all but the last line end',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n',
    false,
  ],
  ['a body until the end', 'HTTP/1.1 200 OK\r\n\r\nabc', true],
  ['a large body until the end', `HTTP/1.1 200 OK\r\n\r\n${LARGE}`, true],
];

t.test('a response that did not come whole never looks complete, to HTTP/1.0 neither', async (t) => {
  const origin = await recordingOrigin(t);
  origin.onRequest = () => undefined;
  const gateway = await program(t, { routes: [{ path: '/', upstream: origin.url }] });
  let count = 0;
  for (const [name, text, mayEnd] of BEGINNINGS) {
    for (const [how, end] of Object.entries(ENDS)) {
      for (const version of ['1.1', '1.0']) {
        const client = await rawClient(t, gateway.port);
        client.send(`GET /${count} HTTP/${version}\r\nHost: h\r\n\r\n`);
        const received = await origin.received(++count);
        received.answer(text);
        await until('its head', () => client.text.includes('\r\n\r\n'));
        if (text.endsWith(LARGE)) await until('most of it', () => client.text.length > 300_000);
        end(received.socket);
        await until('an end', () => client.end !== 'open' || client.finals.length > 0);
        const [answer] = client.answers;
        const isWhole = mayEnd && how === 'ends';
        t.strictSame(
          [answer!.status, answer!.isComplete],
          [200, isWhole],
          `${name}, then it ${how}, HTTP/${version}`,
        );
        const [line] = await gateway.logged(`/${count - 1}`);
        t.strictSame([line!.status, line!.cut !== undefined], [200, !isWhole]);
        client.socket.destroy();
      }
    }
  }
  t.equal(origin.open, 0);
});

// Section 4 of the specification for responses, over sockets: what an upstream sends before it ends, and what the client gets.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import { program } from './program.js';
import { type RawClient, rawClient } from './raw-client.js';
import { type ResponseReading, readResponse } from './readings.js';
import { recordingOrigin } from './recording-origin.js';

interface Case {
  name: string;
  bytes: Buffer;
  reading: ResponseReading;
}

function caseOf(name: string, text: string): Case {
  const bytes = Buffer.from(text, 'latin1');
  return { name, bytes, reading: readResponse(bytes, 'GET') };
}

/** What is wrong with what a client got; it has ended, or got a whole response. */
function wrongWith(client: RawClient, { statuses, body, isComplete }: ResponseReading): string | undefined {
  const { answers } = client;
  const last = answers.at(-1);
  if (client.statuses.join() !== statuses.join()) return `${client.statuses} instead of ${statuses}`;
  if (last!.isComplete !== isComplete) return isComplete ? 'it is cut' : 'it looks complete';
  if (last!.status !== 502 && isComplete && last!.body !== body) return `another body: ${last!.body}`;
  return undefined;
}

async function tryAll(t: Test, cases: readonly Case[]): Promise<void> {
  const origin = await recordingOrigin(t);
  // A connection for each request, as the origin ends them without a word.
  const route = { path: '/', upstream: origin.url, retries: 0, pool: { max_idle: 0 } };
  const gateway = await program(t, { routes: [route] });
  origin.onRequest = async ({ target, socket }) => {
    const [index, cut] = target.slice(1).split('-').map(Number);
    const { bytes } = cases[index!]!;
    socket.write(bytes.subarray(0, cut));
    if (cut! < bytes.length) setTimeout(() => socket.end(bytes.subarray(cut)), 4);
    else socket.end();
  };
  const runs = cases.flatMap((one, index) => {
    const { length } = one.bytes;
    return [...new Set([length, 1, length >> 1, length - 1])].map((cut) => ({ one, index, cut }));
  });
  for (const { one, index, cut } of runs) {
    const client = await rawClient(t, gateway.port);
    client.send(`GET /${index}-${cut} HTTP/1.1\r\nHost: h\r\n\r\n`);
    await client.answered();
    const wrong = wrongWith(client, one.reading);
    if (wrong !== undefined)
      t.fail(
        `${one.name}, cut at ${cut}: ${wrong}: ${JSON.stringify(client.text)} for ${JSON.stringify(String(one.bytes))}`,
      );
    client.socket.destroy();
  }
  t.equal(origin.requests.length, runs.length, 'no request was sent twice');
  await until('no connection is left', async () => origin.open === 0 && (await gateway.connections()) === 0);
  await until('each has a record', () => gateway.lines.length === runs.length);
}

const ok = (lines: string, body = '') => `HTTP/1.1 200 OK\r\n${lines}\r\n${body}`;
const chunked = (body: string) => ok('Transfer-Encoding: chunked\r\n', body);

/** The status that the client gets, and whether all of it. */
const RESPONSES: [name: string, text: string, status: number, isComplete: boolean][] = [
  ['a response', ok('Content-Length: 2\r\n', 'ok'), 200, true],
  [
    'an early hint before it',
    `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok('Content-Length: 2\r\n', 'ok')}`,
    200,
    true,
  ],
  ['whitespace before a colon', ok('Content-Length : 2\r\nA\t: b\r\n', 'ok'), 200, true],
  ['until the end', ok('', 'until the end'), 200, true],
  ['HTTP/1.0 until the end', 'HTTP/1.0 200 OK\r\n\r\nuntil the end', 200, true],
  ['chunks', chunked('2\r\nok\r\n0\r\n\r\n'), 200, true],
  ['trailers', chunked('2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n'), 200, true],
  [
    'bytes behind it',
    ok('Content-Length: 2\r\n', 'okHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'),
    200,
    true,
  ],
  ['nothing', '', 502, true],
  ['a part of a head', 'HTTP/1.1 200 OK\r\nContent-', 502, true],
  ['something else', 'SSH-2.0-OpenSSH_9.2\r\n', 502, true],
  ['HTTP/2', 'HTTP/2 200 OK\r\n\r\n', 502, true],
  ['LF alone', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', 502, true],
  ['a folded field', ok('A: b\r\n c\r\n'), 502, true],
  ['CR in a value', ok('A: b\rc\r\n'), 502, true],
  ['NUL in a value', ok('A: b\0\r\n'), 502, true],
  ['an empty name', ok(': b\r\n'), 502, true],
  ['two lengths', ok('Content-Length: 2\r\nContent-Length: 3\r\n', 'okk'), 502, true],
  ['two equal lengths', ok('Content-Length: 2\r\nContent-Length: 2\r\n', 'ok'), 502, true],
  [
    'both lengths',
    ok('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n'),
    502,
    true,
  ],
  ['another coding', ok('Transfer-Encoding: x\r\n', 'ok'), 502, true],
  ['a coding before chunked', ok('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), 502, true],
  [
    'Transfer-Encoding in HTTP/1.0',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    502,
    true,
  ],
  [
    '101 that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    502,
    true,
  ],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 502, true],
  ['a status of 600', 'HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n', 502, true],
  ['a head beyond 32 KiB', ok(`A: ${'b'.repeat(33_000)}\r\n`), 502, true],
  ['a head of 20 KiB', ok(`A: ${'b'.repeat(20_000)}\r\nContent-Length: 2\r\n`, 'ok'), 200, true],
  ['a length that is not there', ok('Content-Length: 10\r\n', 'ok'), 200, false],
  ['no last chunk', chunked('2\r\nok\r\n'), 200, false],
  ['a chunk that is not whole', chunked('5\r\nok'), 200, false],
  ['an invalid chunk size', chunked('2\r\nok\r\nxyz\r\n'), 200, false],
  ['chunk data that are longer', chunked('2\r\nokk\r\n0\r\n\r\n'), 200, false],
  ['trailers that are not whole', chunked('2\r\nok\r\n0\r\nX-Sum: '), 200, false],
];

t.test('a table of own cases', async (t) => {
  const cases = RESPONSES.map(([name, text, status, isComplete]) => {
    const one = caseOf(name, text);
    t.strictSame([one.reading.statuses.at(-1), one.reading.isComplete], [status, isComplete], name);
    return one;
  });
  await tryAll(t, cases);
});

const folder = process.env.MPROXY_TEST_DATA;
const skip = folder ? false : 'MPROXY_TEST_DATA is not set';

t.test("llhttp's responses", { skip }, async (t) => {
  const { cases } = JSON.parse(readFileSync(join(folder!, 'http', 'llhttp-response.json'), 'utf8'));
  await tryAll(
    t,
    cases.map(({ title, bytes }: { title: string; bytes: string }) => caseOf(title, bytes)),
  );
});

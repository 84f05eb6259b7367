// Section 4 of the specification over sockets: what a client sends, what it gets, and what reaches the origin.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import { type Program, program } from './program.js';
import { type RawClient, rawClient } from './raw-client.js';
import { type RequestReading, readRequests } from './readings.js';
import { type RecordingOrigin, recordingOrigin } from './recording-origin.js';
import { REQUESTS } from './strict-table.js';

const PROBE = 'GET /probe HTTP/1.1\r\nHost: h\r\n\r\n';
/** Connections at a time. */
const TOGETHER = 40;

interface Case {
  name: string;
  bytes: Buffer;
  reading: RequestReading;
}

async function proxied(t: Test): Promise<{ gateway: Program; origin: RecordingOrigin }> {
  const origin = await recordingOrigin(t);
  const gateway = await program(t, { routes: [{ path: '/', upstream: origin.url }] });
  return { gateway, origin };
}

/** Whole, and in two pieces: behind the first byte, before the last, in the middle, and within the first line end behind it. */
function waysOf(bytes: Buffer): Buffer[][] {
  const middle = bytes.length >> 1;
  const crlf = bytes.indexOf('\r\n', middle);
  const cuts = new Set([1, middle, crlf + 1, bytes.length - 1]);
  const inside = [...cuts].filter((cut) => cut > 0 && cut < bytes.length);
  return [[bytes], ...inside.map((cut) => [bytes.subarray(0, cut), bytes.subarray(cut)])];
}

/** Sends it on a connection of its own, with another request behind it where one may follow. @returns what is wrong */
async function tryOut(client: RawClient, pieces: Buffer[], { reading }: Case): Promise<string | undefined> {
  const { requests, methods, rejected, partial, isOpen } = reading;
  client.methods = methods;
  await client.sendPieces(pieces);
  const expected = [...requests.map(() => 200), ...(rejected === undefined ? [] : [rejected])];
  await client.answered(expected.length);
  if (isOpen) {
    client.send(PROBE);
    await client.answered(expected.length + 1);
    expected.push(200);
  } else if (rejected !== undefined) await client.ended();
  const { finals } = client;
  const statuses = finals.map(({ status }) => status);
  if (String(statuses) !== String(expected)) return `${statuses} instead of ${expected}: ${client.text}`;
  const told = finals
    .slice(0, requests.length)
    .map(({ body }, i) => (methods[i] === 'HEAD' ? requests[i] : body));
  if (String(told) !== String(requests)) return `other requests: ${told}`;
  if (isOpen && finals.at(-1)!.body !== 'GET /probe')
    return `another request behind it: ${finals.at(-1)!.body}`;
  if (client.end === 'reset') return 'reset';
  const waits = !isOpen && rejected === undefined && (partial !== undefined || requests.length === 0);
  return waits && client.end !== 'open' ? 'it was not waited for' : undefined;
}

/** Tries out all of the cases in all ways; then the origin must have got what it should, and nothing else. */
async function tryAll(t: Test, cases: readonly Case[]): Promise<void> {
  const { gateway, origin } = await proxied(t);
  const runs = cases.flatMap((one) => waysOf(one.bytes).map((pieces) => ({ one, pieces })));
  const expected: string[] = [];
  const partial: string[] = [];
  for (let at = 0; at < runs.length; at += TOGETHER) {
    await Promise.all(
      runs.slice(at, at + TOGETHER).map(async ({ one, pieces }) => {
        const client = await rawClient(t, gateway.port);
        const wrong = await tryOut(client, pieces, one);
        if (wrong !== undefined)
          t.fail(`${one.name} in pieces of ${pieces.map(({ length }) => length)}: ${wrong}`);
        expected.push(...one.reading.requests, ...(one.reading.isOpen ? ['GET /probe'] : []));
        if (one.reading.partial) partial.push(one.reading.partial);
        client.socket.destroy();
      }),
    );
  }
  await until('all of them have left', async () => (await gateway.connections()) === 0);
  t.strictSame(origin.shown, expected.sort(), 'the origin has these requests, each once');
  const begun = origin.requests.filter(({ isComplete }) => !isComplete);
  const wrong = begun.filter(({ shown }) => !partial.some((one) => shown.startsWith(one)));
  t.strictSame(
    wrong.map(({ head }) => head),
    [],
    'and the beginning of no other one',
  );
  t.ok(begun.length <= partial.length);
  t.strictSame(
    [...origin.unread.values()].filter((text) => text !== ''),
    [],
    'nor anything else',
  );
}

t.test('a table of own cases', async (t) => {
  const cases = REQUESTS.map(([name, text, statuses]) => {
    const bytes = Buffer.from(text, 'latin1');
    const reading = readRequests(bytes);
    const expected = [
      ...reading.requests.map(() => 200),
      ...(reading.rejected === undefined ? [] : [reading.rejected]),
    ];
    t.strictSame(expected, statuses, name);
    return { name, bytes, reading };
  });
  await tryAll(t, cases);
});

const folder = process.env.MPROXY_TEST_DATA;
const skip = folder ? false : 'MPROXY_TEST_DATA is not set';

function publicCases(name: string, nameOf: (one: any) => string, textOf: (one: any) => string): Case[] {
  const { cases } = JSON.parse(readFileSync(join(folder!, 'http', name), 'utf8'));
  return cases.map((one: unknown) => {
    const bytes = Buffer.from(textOf(one), 'latin1');
    return { name: nameOf(one), bytes, reading: readRequests(bytes) };
  });
}

t.test("llhttp's requests", { skip }, async (t) => {
  // Most of the cases have no Host, for which all would be rejected.
  const withHost = (bytes: string) =>
    /\nhost *:/i.test(bytes)
      ? bytes
      : bytes.replace(/(^|\n)([\w-]+ [^\r\n]* HTTP\/1\.1\r\n)/g, '$1$2Host: h\r\n');
  await tryAll(
    t,
    publicCases(
      'llhttp-request.json',
      ({ title }) => title,
      ({ bytes }) => withHost(bytes),
    ),
  );
});

t.test('h1spec', { skip }, async (t) => {
  const UNESCAPED: Record<string, string> = { r: '\r', n: '\n', t: '\t' };
  const text = (request: string) =>
    request.replace(
      /\\(r|n|t|x..)/g,
      (_, what: string) => UNESCAPED[what] ?? String.fromCharCode(Number.parseInt(what.slice(1), 16)),
    );
  await tryAll(
    t,
    publicCases(
      'h1spec.json',
      ({ desc }) => desc,
      ({ request }) => text(request),
    ),
  );
});

t.test('fields like Transfer-Encoding beside a Content-Length', { skip }, async (t) => {
  const text = (field: string) => `POST / HTTP/1.1\r\n${field}\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello`;
  await tryAll(
    t,
    publicCases(
      'transfer-encoding.json',
      ({ name }) => name,
      ({ field }) => text(field),
    ),
  );
});

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { gateway } from './running.js';

const SIZE = 20_000_000;

/** A gateway with a large file. */
async function withFile(t: Test) {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const dir = t.testdir({ site: {} });
  const file = join(dir, 'site', 'large.bin');
  const block = random.bytes(100_003);
  writeFileSync(
    file,
    Buffer.concat(Array.from({ length: Math.ceil(SIZE / block.length) }, () => block)).subarray(0, SIZE),
  );
  const config = join(dir, 'g.json');
  writeFileSync(
    config,
    JSON.stringify({
      thread_count: 1,
      listen: ['127.0.0.1:0'],
      routes: [{ path: '/', static: { root: 'site' }, middlewares: [{ type: 'request_id' }] }],
    }),
  );
  const { port } = await gateway(t, { config, listenAddr: [] });
  const request = (fields: Record<string, string> = {}) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      get({ port, host: '127.0.0.1', path: '/large.bin', headers: fields, agent: false }, resolve).on(
        'error',
        reject,
      );
    });
  const openCount = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === file;
      } catch {
        return false;
      }
    }).length;
  return { file, request, openCount, random };
}

t.test('a large file to a slow reader: every byte', async (t) => {
  const { file, request, openCount, random } = await withFile(t);
  const response = await request();
  t.equal(response.headers['content-length'], String(SIZE));
  t.match(response.headers['x-request-id'], /^[0-9a-f-]{36}$/);
  const hash = createHash('sha256');
  for await (const bytes of response) {
    hash.update(bytes as Buffer);
    if (random.integer(0, 20) === 0)
      await new Promise((resolve) => setTimeout(resolve, random.integer(0, 5)));
  }
  t.equal(hash.digest('hex'), createHash('sha256').update(readFileSync(file)).digest('hex'));
  const part = await request({ range: 'bytes=1000000-2000000' });
  t.equal(part.statusCode, 206);
  const pieces: Buffer[] = [];
  for await (const bytes of part) pieces.push(bytes as Buffer);
  t.ok(Buffer.concat(pieces).equals(readFileSync(file).subarray(1_000_000, 2_000_001)));
  await until('the file is closed', () => openCount() === 0);
});

t.test('clients that leave in the middle leave no open file behind', async (t) => {
  const { request, openCount } = await withFile(t);
  const responses = await Promise.all(Array.from({ length: 30 }, () => request()));
  await until('all are open', () => openCount() === 30);
  for (const response of responses) response.destroy();
  await until('all are closed', () => openCount() === 0);
});

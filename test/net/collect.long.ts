import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';

/** A minute of this at the pace below. */
const BYTES = 180e6;
const RATE = '24Mbps';
/** Has V8 collect garbage every so many allocations, in every thread: what only the kernel points to would be freed. */
const COLLECT = { node: ['--expose-gc', '--gc-interval=500'] };

t.test(
  'a minute of forced collections frees nothing that the kernel uses',
  { timeout: 300_000 },
  async (t) => {
    const folder = t.testdir({});
    const [input, output] = [join(folder, 'in'), join(folder, 'out')];
    await pipeline(records(), createWriteStream(input));
    const server = start(t, 'server', ['--listen-addr', '127.0.0.1:0', '--path', output], COLLECT);
    const to = `127.0.0.1:${await server.port()}`;
    const listen = ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', to];
    const forward = start(t, 'forward', listen, COLLECT);
    const through = `127.0.0.1:${await forward.port()}`;
    const client = start(t, 'client', ['--path', input, '--server-addr', through, '--rate', RATE], COLLECT);
    t.equal(await client.exited, 0, client.stderr);
    await until('all is in the file', () => statSync(output).size >= statSync(input).size);
    t.equal(await forward.stop(), 0);
    t.equal(await server.stop(), 0);
    t.equal(await digest(output), await digest(input), 'every byte');
    t.notMatch(forward.stderr + server.stderr + client.stderr, /EFAULT|lost/);
  },
);

function* records(): Generator<string> {
  for (let number = 0, bytes = 0; bytes < BYTES; number++) {
    const record = `${String(number).padStart(10, '0')} ${'abcdefghijklmnopqrstuvwxyz'.repeat(number % 50)}\n`;
    bytes += record.length;
    yield record;
  }
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

import { execFileSync } from 'node:child_process';
import { constants, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openInput } from 'mproxy-flow/endpoints/file/open-input';
import { PipeInput } from 'mproxy-flow/endpoints/file/pipe-input';
import { chooseEngine } from 'mproxy-net';
import t, { type Test } from 'tap';
import { startProgram } from '../support/command.js';
import { Random } from '../support/random.js';

const skip = process.platform === 'win32' && 'no FIFOs';
const { engine } = chooseEngine('node');

function fifo(t: Test): string {
  const path = join(t.testdir(), 'fifo');
  execFileSync('mkfifo', [path]);
  return path;
}

t.test('a pipe: every byte once, whatever the consumer does between chunks', { skip }, async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const path = fifo(t);
  const sent = random.bytes(5_000_000);
  const file = join(t.testdirName, 'sent');
  writeFileSync(file, sent);
  const input = openInput(path, { engine, lends: true });
  t.type(input, PipeInput);
  startProgram(t, 'sh', ['-c', 'cat "$0" > "$1"', file, path]);
  const got: Buffer[] = [];
  let overwritten = 0;
  for await (const chunk of input.chunks()) {
    const bytes = chunk as Buffer;
    const copy = Buffer.from(bytes);
    for (let turns = random.integer(0, 2); turns > 0; turns--) await nextTurn();
    if (!copy.equals(bytes)) overwritten++;
    // The consumer may move the rest of a chunk there.
    new Uint8Array(bytes.buffer, bytes.byteOffset - input.headroom!, input.headroom!).fill(0x55);
    got.push(copy);
  }
  t.ok(Buffer.concat(got).equals(readFileSync(file)), 'the same bytes');
  t.equal(overwritten, 0, 'a chunk is left alone until the next is taken');
});

t.test('a pipe is stopped while nothing arrives, and with a chunk that nobody took', { skip }, async (t) => {
  const path = fifo(t);
  const writer = openSync(path, constants.O_RDWR);
  for (const text of ['', 'never taken']) {
    const input = openInput(path, { engine, lends: true });
    if (text !== '') writeSync(writer, text);
    await nextTurn();
    const ended = (async () => {
      const chunks: unknown[] = [];
      for await (const chunk of input.chunks()) {
        chunks.push(chunk);
        input.stop();
      }
      return chunks.length;
    })();
    if (text === '') input.stop();
    t.equal(await ended, text === '' ? 0 : 1);
  }
});

t.test('what is no pipe is an error', (t) => {
  const fd = openSync(new URL(import.meta.url), 'r');
  t.throws(() => new PipeInput(fd, { isFile: () => true } as never), /fd/i);
  t.end();
});

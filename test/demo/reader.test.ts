import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

interface Tally {
  lastLine: string;
  add(chunk: Buffer): void;
  difference(sent: Tally): string | undefined;
}

interface Readers {
  Tally: new () => Tally;
  fileReader(name: string, path: string): { tally: Tally; poll(): void; close(): void };
}

// The demo is a project of its own: the tests meet what it was compiled to.
const demo = new URL('../../demo/reader.js', import.meta.url);
const { fileReader, Tally } = (await import(demo.href)) as Readers;

t.test('what differs from what was sent is told, to the byte', async (t) => {
  const sent = tally('one\n', 'two\n');
  t.equal(tally('one\ntwo\n').difference(sent), undefined, 'however it was cut');
  t.equal(tally('one\n').difference(sent), '4 bytes missing');
  t.equal(tally('one\n', 'two\n', 'two\n').difference(sent), '4 bytes too many');
  t.equal(tally('two\n', 'one\n').difference(sent), 'other bytes', 'as many, in another order');
  t.equal(tally('one\ntwO\n').difference(sent), 'other bytes');
});

t.test('the last whole line', async (t) => {
  const read = tally('first\nsec');
  t.equal(read.lastLine, 'first');
  read.add(Buffer.from('ond\nthird'));
  t.equal(read.lastLine, 'second');
});

t.test('a file is read on as it grows', async (t) => {
  const path = join(t.testdir(), 'file');
  writeFileSync(path, '');
  const reader = fileReader('file', path);
  t.teardown(() => reader.close());
  for (const piece of ['a\n', 'b'.repeat(600_000), '\nc']) {
    appendFileSync(path, piece);
    reader.poll();
  }
  t.equal(reader.tally.difference(tally(`a\n${'b'.repeat(600_000)}\nc`)), undefined);
});

function tally(...pieces: string[]): Tally {
  const made = new Tally();
  for (const piece of pieces) made.add(Buffer.from(piece));
  return made;
}

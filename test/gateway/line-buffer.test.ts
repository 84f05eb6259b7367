import { LineBuffer } from 'mproxy-gateway/access-log/line-buffer';
import t from 'tap';
import { until } from '../support/wait.js';

/** A buffer, and what it passed on. */
function buffer() {
  const posts: { text: string; records: number }[] = [];
  let drops = 0;
  const lines = new LineBuffer(
    (bytes, records) => posts.push({ text: Buffer.from(bytes).toString('latin1'), records }),
    () => drops++,
  );
  return { lines, posts, drops: () => drops };
}

t.test('gathers lines for a moment, or until there are many', async (t) => {
  const { lines, posts } = buffer();
  lines.write('one');
  lines.write('two');
  t.strictSame(posts, []);
  await until('they are passed on', () => posts.length > 0);
  t.strictSame(posts, [{ text: 'one\ntwo\n', records: 2 }]);
  const line = 'x'.repeat(999);
  for (let i = 0; i < 66; i++) lines.write(line);
  t.equal(posts.length, 2, 'at once, when they are many');
  t.strictSame(posts[1], { text: `${line}\n`.repeat(66), records: 66 });
  lines.write('last');
  lines.flush();
  t.strictSame(posts[2], { text: 'last\n', records: 1 });
  lines.flush();
  t.equal(posts.length, 3, 'nothing is not passed on');
});

t.test('while nothing is written, 8 MiB are kept, then records are dropped and counted', (t) => {
  const { lines, posts, drops } = buffer();
  const line = 'x'.repeat(1023);
  for (let i = 0; i < 10_000; i++) lines.write(line);
  lines.flush();
  const passed = posts.reduce((sum, { records }) => sum + records, 0);
  t.equal(passed, 8 * 1024);
  t.equal(drops(), 10_000 - passed);
  lines.written(posts[0]!.text.length);
  lines.write(line);
  lines.flush();
  t.match(posts.at(-1), { records: 1 });
  t.equal(drops(), 10_000 - passed, 'when some is written, there is room');
  t.end();
});

import { release } from 'node:os';
import { chooseEngine } from 'mproxy-net';
import t from 'tap';

const { engine } = chooseEngine('auto');
const [major = 0, minor = 0] = release().split('.').map(Number);
const skip =
  engine.name !== 'linux' || major < 5 || (major === 5 && minor < 14)
    ? 'MADV_POPULATE_WRITE is Linux 5.14'
    : false;
const SIZE = 64 * 1024 * 1024;

t.test('memory has its pages before it is written to, and what was written stays', { skip }, (t) => {
  const memory = Buffer.allocUnsafeSlow(SIZE);
  memory.fill('x', 0, 100);
  const before = process.memoryUsage.rss();
  // Neither end is that of a page.
  engine.populate!(memory.subarray(50, SIZE - 50));
  const grown = process.memoryUsage.rss() - before;
  t.ok(grown > 0.9 * SIZE, `${grown} bytes more`);
  t.equal(memory.toString('latin1', 0, 100), 'x'.repeat(100));
  t.end();
});

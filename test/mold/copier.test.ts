import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Copier, SLACK } from 'mproxy-mold';
import t from 'tap';
import { Random } from '../support/random.js';

const ROUNDS = 2000;
const AREA = 4096;

t.test('what runs was made of copier.wat', (t) => {
  const script = fileURLToPath(new URL('../../../scripts/wat.mjs', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script, '--check']);
  t.equal(status, 0, String(stderr));
  t.end();
});

t.test('lines become messages, and these lines again, wherever they lie', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  // Three areas: lines, messages, lines again; their lengths behind.
  const copier = new Copier(8 * AREA);
  const { memory } = copier;
  for (let round = 0; round < ROUNDS; round++) {
    memory.fill(random.pick([10, 0, 255]));
    const lines = Array.from({ length: random.integer(0, 40) }, () => {
      const line = Buffer.alloc(random.integer(1, random.pick([2, 20, 90])), 'x');
      line[line.length - 1] = 10;
      return line;
    });
    const input = Buffer.concat(random.next() < 0.3 ? [...lines, Buffer.from('end')] : lines);
    const from = random.integer(0, 40);
    const at = AREA + random.integer(0, 40);
    const limit = at + random.integer(0, AREA - 80);
    input.copy(memory, from);
    const guard = Buffer.from(memory.subarray(limit + SLACK, limit + SLACK + 64));
    const left = copier.pack(from, from + input.length, at, limit);
    const { head, count } = copier;
    const sizes = new Uint16Array(memory.buffer, memory.byteOffset + 6 * AREA, count);
    const end = copier.strip(at, count, 4 * AREA, 6 * AREA);
    const back = memory.subarray(4 * AREA, end);
    const next = input.indexOf(10, left - from) + 1 || input.length;
    const wrong =
      (head > limit && 'beyond the limit') ||
      (!back.equals(input.subarray(0, left - from)) && 'other bytes') ||
      (sizes.reduce((sum, size) => sum + size, 0) !== back.length && 'other lengths') ||
      (head - at !== back.length + 2 * count && 'other headers') ||
      (sizes.some((_, i) => i < lines.length && sizes[i] !== lines[i]!.length) && 'other lines') ||
      (left - from < input.length &&
        head + 2 + next - (left - from) <= limit &&
        'a line that fits is left') ||
      (!guard.equals(memory.subarray(limit + SLACK, limit + SLACK + 64)) && 'wrote too far');
    if (!wrong) continue;
    t.fail(`${wrong}: round ${round}, SEED=${random.seed}`);
    return t.end();
  }
  t.pass(`${ROUNDS} inputs`);
  t.end();
});

t.test('messages of every length come out, none among them', (t) => {
  const copier = new Copier(4 * 65_536);
  const { memory } = copier;
  const sizes = [0, 1, 15, 16, 17, 0, 31, 32, 33, 60_000];
  let at = 65_536;
  for (const [i, size] of sizes.entries()) {
    memory.writeUInt16BE(size, at);
    memory.fill(65 + i, at + 2, at + 2 + size);
    at += 2 + size;
  }
  const end = copier.strip(65_536, sizes.length, 0, 3 * 65_536);
  const expected = Buffer.concat(sizes.map((size, i) => Buffer.alloc(size, 65 + i)));
  t.ok(memory.subarray(0, end).equals(expected));
  t.same([...new Uint16Array(memory.buffer, 3 * 65_536, sizes.length)], sizes);
  t.equal(copier.strip(65_536, 0, 7, 3 * 65_536), 7);
  t.end();
});

t.test('it works beyond 2 GiB, where a position is negative as a signed number', (t) => {
  const high = 2 ** 31 + 4096;
  // Most of it is never touched, and so never taken.
  const copier = new Copier(high + 3 * 4096);
  const { memory } = copier;
  const text = 'a\nbb\n\nccc';
  memory.write(text, high);
  t.equal(copier.pack(high, high + text.length, high + 4096, high + 8192), high + text.length);
  t.equal(copier.head, high + 4096 + text.length + 2 * 4);
  t.equal(copier.count, 4);
  const end = copier.strip(high + 4096, 4, high + 8192, high);
  t.equal(memory.toString('latin1', high + 8192, end), text);
  t.end();
});

t.test('what is not there is told', (t) => {
  t.throws(() => new Copier(2 ** 32 + 1), /no memory of 4097 MiB/);
  t.end();
});

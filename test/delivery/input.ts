import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Random } from '../support/random.js';

/** Lines of all lengths, some longer than a packet, some empty, some binary; the last without a newline. */
export function makeInput(t: Test, lines = 5000): { data: Buffer; from: string; to: string } {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const line = () => {
    const length = random.next() < 0.002 ? random.integer(1400, 20_000) : random.integer(0, 160);
    return Buffer.concat([random.bytes(length), Buffer.from('\n')]);
  };
  const data = Buffer.concat([...Array.from({ length: lines }, line), Buffer.from('no newline')]);
  const directory = t.testdir();
  const from = join(directory, 'in');
  writeFileSync(from, data);
  return { data, from, to: join(directory, 'out') };
}

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Program } from 'mproxy-flow';
import { FileSink } from 'mproxy-flow/endpoints/file/sink';
import { Batch } from 'mproxy-framing';
import { chooseEngine } from 'mproxy-net';
import t from 'tap';
import { noMounts, smallDisk } from '../support/disk.js';
import { until } from '../support/wait.js';

const SMALL = 1000;
const LARGE = 40_000;

t.test(
  'a large batch behind a small one, on a full disk: both are kept, and their memory can be reused',
  { skip: noMounts },
  async (t) => {
    const { dir, ballast } = smallDisk(t);
    const path = join(dir, 'out');
    const program = new Program({});
    program.engine = chooseEngine('node').engine;
    const sink = new FileSink(program, path, 'raw', false);
    const slab = Buffer.alloc(LARGE);
    const batch = new Batch();
    batch.lent = true;
    for (const [length, letter] of [
      [SMALL, 'a'],
      [LARGE, 'b'],
      [SMALL, 'c'],
      [LARGE, 'd'],
    ] as const) {
      batch.reset(slab.fill(letter));
      batch.add(0, length);
      sink.write(batch);
    }
    slab.fill('x');
    sink.flush();
    t.strictSame(sink.counts.errors, { ENOSPC: 1 }, 'the disk is full');
    rmSync(ballast);
    const expected = `${'a'.repeat(SMALL)}${'b'.repeat(LARGE)}${'c'.repeat(SMALL)}`;
    await until('written again', () => readFileSync(path).length > expected.length);
    t.ok(readFileSync(path, 'latin1').startsWith(`${expected}d`));
    await sink.close().catch((error) => t.match(error, /could not be written/));
  },
);

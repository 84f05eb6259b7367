import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { executable } from '../support/command.js';
import { NAMES } from './bare.js';

const LEAST = 12;
const MOST = 60;
/** The Node that the executables carry. */
const carried = fileURLToPath(
  new URL(`../../../packaging/node_modules/node-linux-${process.arch}/bin/node`, import.meta.url),
);

/** Milliseconds from start to end; `env`, as the test runner has every Node that it knows of load it first. */
function time(...command: string[]): number {
  const begin = performance.now();
  execFileSync('env', ['-i', ...command], { stdio: 'ignore' });
  return performance.now() - begin;
}

t.test('--help is there within three times what its Node takes to do nothing', async (t) => {
  let nothing = Number.POSITIVE_INFINITY;
  const best = NAMES.map(() => Number.POSITIVE_INFINITY);
  const isLate = (ms: number) => ms > 3 * nothing;
  // What else the machine does makes a turn slower, never faster.
  for (let turn = 0; turn < MOST && (turn < LEAST || best.some(isLate)); turn++) {
    nothing = Math.min(nothing, time(carried, '-e', '0'));
    for (const [i, name] of NAMES.entries()) best[i] = Math.min(best[i]!, time(executable(name), '--help'));
  }
  for (const [i, name] of NAMES.entries())
    t.notOk(isLate(best[i]!), `${name}: ${best[i]!.toFixed(1)} ms, Node alone ${nothing.toFixed(1)}`);
});

t.test('NODE_OPTIONS, which is for other programs, changes nothing', async (t) => {
  const env = { NODE_OPTIONS: '--require /nowhere/at-all.cjs --no-such-option' };
  for (const name of NAMES) t.match(execFileSync(executable(name), ['--version'], { env }), /^\d/, name);
});

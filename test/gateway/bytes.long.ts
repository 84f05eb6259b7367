import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { transfers } from './transfers.js';

for (const { name } of ENGINES) {
  t.test(`${name}: 1 GB up and down, with random pieces, pauses and slow readers`, (t) =>
    transfers(t, 2 ** 30, 120 * 2 ** 20, name),
  );
}

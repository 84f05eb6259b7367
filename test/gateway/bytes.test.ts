import t from 'tap';
import { transfers } from './transfers.js';

t.test('64 MB up and down, with random pieces, pauses and slow readers', (t) =>
  transfers(t, 64 * 2 ** 20, 120 * 2 ** 20),
);

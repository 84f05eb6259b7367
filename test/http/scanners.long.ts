import t from 'tap';
import { compareScanners } from './fuzz.js';

const HEADS = 10_000_000;

t.test('both scanners find the same in ten million heads', (t) => compareScanners(t, HEADS));

import t from 'tap';
import { randomInputs } from './random-input.js';

t.test('a million random and mutated inputs on the port', (t) => randomInputs(t, 1_000_000, 'auto'));
t.test('200,000 of them on the node engine', (t) => randomInputs(t, 200_000, 'node'));

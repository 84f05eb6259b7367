import t from 'tap';
import { randomInputs } from './random-input.js';

t.test('20,000 random and mutated inputs on the port', (t) => randomInputs(t, 20_000));

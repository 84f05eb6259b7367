import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { randomInputs } from './random-input.js';

for (const { name } of ENGINES)
  t.test(`${name}: a million random and mutated inputs on the port`, (t) => randomInputs(t, 1_000_000, name));

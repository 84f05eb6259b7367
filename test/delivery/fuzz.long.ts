import t from 'tap';
import { fuzzReceiver, fuzzSender } from './fuzz.js';

const COUNT = 1_000_000;
/** MiB: what Node and the code take, the store and the window, and some air. */
const MOST = 500;
const skip = process.platform !== 'linux' && 'it reads /proc and needs all of 127.0.0.0/8';

for (const engine of ['linux', 'node']) {
  t.test(`a million packets into a server on ${engine}`, { skip }, async (t) => {
    const memory = await fuzzReceiver(t, { engine, count: COUNT, seconds: 20 });
    t.ok(memory < MOST, `${memory} MiB`);
  });

  t.test(`a million requests into a client on ${engine}`, { skip }, async (t) => {
    const memory = await fuzzSender(t, { engine, count: COUNT, seconds: 20 });
    t.ok(memory < MOST, `${memory} MiB`);
  });
}

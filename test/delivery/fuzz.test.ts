import t from 'tap';
import { fuzzReceiver, fuzzSender } from './fuzz.js';

/** MiB: what Node and the code take, the store and the window, and some air. */
const MOST = 300;
const skip = process.platform !== 'linux' && 'it reads /proc and needs all of 127.0.0.0/8';

for (const engine of ['linux', 'node']) {
  t.test(
    `whatever packets come, a server on ${engine} lives and gets the real stream`,
    { skip },
    async (t) => {
      const memory = await fuzzReceiver(t, { engine, count: 20_000, seconds: 1 });
      t.ok(memory < MOST, `${memory} MiB`);
    },
  );

  t.test(`whoever asks for whatever, a client on ${engine} lives and is received`, { skip }, async (t) => {
    const memory = await fuzzSender(t, { engine, count: 20_000, seconds: 1 });
    t.ok(memory < MOST, `${memory} MiB`);
  });
}

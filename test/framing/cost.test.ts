import { createCutter } from 'mproxy-framing';
import { FRAMES, type Frame } from 'mproxy-framing/frame';
import t from 'tap';

const SHORT = 4000;
const LONG = 16 * SHORT;
/** 16 is linear, 256 is quadratic. */
const LIMIT = 30;
/** Attempts. */
const LEAST = 8;
const MOST = 40;

for (const frame of FRAMES) {
  for (const flushes of [false, true]) {
    t.test(`${frame}: a byte at a time costs linear time${flushes ? ', idle after each' : ''}`, (t) => {
      let short = Number.POSITIVE_INFINITY;
      let long = Number.POSITIVE_INFINITY;
      // A busy machine makes some attempts slow, never all of them; a quadratic cutter is slow in each.
      for (let i = 0; i < LEAST || (i < MOST && long > LIMIT * short); i++) {
        short = Math.min(short, measure(frame, SHORT, flushes));
        long = Math.min(long, measure(frame, LONG, flushes));
      }
      const times = (long / short).toFixed(1);
      t.ok(long <= LIMIT * short, `16 times the bytes take ${times} times as long`);
      t.end();
    });
  }
}

/** Milliseconds that a line of so many bytes takes, each byte in a chunk of its own. */
function measure(frame: Frame, bytes: number, flushes: boolean): number {
  const byte = Buffer.from('x');
  let sent = 0;
  // Nothing is full before the end, so that all of it is held.
  const cutter = createCutter(frame, 65_507, (_slab, _offset, length, count) => {
    sent += length * count;
  });
  if (frame === 'octet-counted') cutter.push(Buffer.from(`${bytes} `));
  const begin = performance.now();
  for (let i = 0; i < bytes; i++) {
    cutter.push(byte);
    if (flushes) cutter.flush();
  }
  cutter.finish();
  const ms = performance.now() - begin;
  if (sent !== bytes) throw new Error(`sent ${sent} of ${bytes} bytes`);
  return ms;
}

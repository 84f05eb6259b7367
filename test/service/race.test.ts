import type { Connection, ConnectOptions, Streams } from 'mproxy-net';
import { connectToAny, interleave } from 'mproxy-service/race';
import t from 'tap';

/** Connections that a test opens, or lets fail. */
class Attempts {
  readonly all: { to: string; open(): void; fail(): void; aborted: boolean }[] = [];
  closed = 0;

  readonly streams = {
    connect: ({ to, signal }: ConnectOptions) =>
      new Promise<Connection>((resolve, reject) => {
        const { address } = to as { address: string };
        const one = {
          to: address,
          aborted: false,
          open: () => resolve({ close: () => this.closed++ } as unknown as Connection),
          fail: () => reject(new Error(address)),
        };
        signal?.addEventListener('abort', () => {
          one.aborted = true;
        });
        this.all.push(one);
      }),
    timer: (onDue: () => void) => {
      this.onDue = onDue;
      return { set: () => undefined, clear: () => undefined };
    },
  } as unknown as Streams;
  onDue: () => void = () => undefined;

  get tried(): string {
    return this.all.map(({ to }) => to).join(' ');
  }

  begin(timeout = 10_000, signal?: AbortSignal) {
    const addresses = ['a', 'b', 'c'].map((address) => ({ address, port: 1 }));
    return connectToAny(this.streams, addresses, { timeout, ...(signal && { signal }) });
  }
}

t.test('families alternate, the first one first (RFC 8305, section 4)', async (t) => {
  t.strictSame(interleave(['::1', '::2', '::3', '1.1.1.1', '1.1.1.2']), [
    '::1',
    '1.1.1.1',
    '::2',
    '1.1.1.2',
    '::3',
  ]);
  t.strictSame(interleave(['1.1.1.1', '::1', '::2']), ['1.1.1.1', '::1', '::2']);
  t.strictSame(interleave(['1.1.1.1', '1.1.1.2']), ['1.1.1.1', '1.1.1.2']);
  t.strictSame(interleave([]), []);
});

t.test(
  'the next attempt begins when one fails, or takes long; the first that is connected wins',
  async (t) => {
    const attempts = new Attempts();
    const connected = attempts.begin();
    t.equal(attempts.tried, 'a');
    attempts.all[0]!.fail();
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(attempts.tried, 'a b');
    attempts.onDue();
    t.equal(attempts.tried, 'a b c');
    attempts.onDue();
    attempts.all[2]!.open();
    t.equal((await connected).address, (await connected).address);
    t.match(await connected, { address: { address: 'c' } });
    t.equal(attempts.all[1]!.aborted, true);
    attempts.all[1]!.open();
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(attempts.closed, 1, 'one that is connected too late is closed');
  },
);

t.test('all fail: the error of the last; too late; given up', async (t) => {
  const attempts = new Attempts();
  const failed = attempts.begin();
  attempts.onDue();
  attempts.onDue();
  for (const i of [2, 0, 1]) attempts.all[i]!.fail();
  await t.rejects(failed, { message: 'b' });
  const late = new Attempts();
  const tooLate = late.begin(0);
  late.all[0]!.fail();
  await t.rejects(tooLate, { code: 'ETIMEDOUT' });
  t.equal(late.tried, 'a', 'there is no time for another one');
  const given = new Attempts();
  const controller = new AbortController();
  const up = given.begin(10_000, controller.signal);
  controller.abort(new Error('left'));
  await t.rejects(up, { message: 'left' });
  t.equal(given.all[0]!.aborted, true);
  await t.rejects(new Attempts().begin(10_000, controller.signal), { message: 'left' });
});

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Connection } from 'mproxy-net';
import t from 'tap';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { listen } from './connections.js';
import { ENGINES } from './engines.js';

const GIB = 1024 ** 3;
const SECONDS = 60;

for (const { name, streams } of ENGINES) {
  t.test(
    `1 GiB both ways at once in random chunks, with pauses: ${name}`,
    { timeout: 600_000 },
    async (t) => {
      const random = new Random();
      t.comment(`SEED=${random.seed}`);
      const next = (limit: number) => random.integer(0, limit - 1);
      let other: Side | undefined;
      const { port } = await listen(t, streams, {
        onConnection: (connection) => {
          other = new Side(connection, next);
        },
      });
      const one = new Side(await streams.connect({ to: { address: '127.0.0.1', port } }), next);
      await until('it is accepted', () => other !== undefined);
      const sides = [one, other!];
      const pauses = setInterval(() => {
        const { connection } = sides[next(2)]!;
        connection.pause();
        setTimeout(() => connection.resume(), next(5));
      }, 10);
      const begin = performance.now();
      const sent = await Promise.all(sides.map((side) => side.send(GIB)));
      await until('both are closed', () => sides.every(({ closed }) => closed), 60_000);
      clearInterval(pauses);
      t.comment(`${((performance.now() - begin) / 1000).toFixed(1)} s`);
      t.strictSame(
        sides.map(({ error }) => error),
        [undefined, undefined],
      );
      t.strictSame(sides.map(({ received }) => received.digest('hex')).toReversed(), sent);
    },
  );
}

t.test(
  'a minute of forced collections: no byte is wrong, and none is written beside the memory',
  { timeout: 300_000, skip: process.platform !== 'linux' && 'epoll is of Linux' },
  async (t) => {
    const program = fileURLToPath(new URL('./collected.js', import.meta.url));
    const args = ['--expose-gc', '--gc-interval=500', program, String(SECONDS)];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 200_000 });
    const { received, problems } = JSON.parse(stdout);
    t.strictSame(problems, []);
    t.comment(`${(received / GIB).toFixed(1)} GiB`);
    t.ok(received > 0.1 * GIB);
  },
);

class Side {
  readonly received = createHash('sha256');
  closed = false;
  error: Error | undefined;
  #drained: () => void = () => undefined;

  constructor(
    readonly connection: Connection,
    private readonly next: (limit: number) => number,
  ) {
    connection.start({
      onData: (bytes) => void this.received.update(bytes),
      onEnd: () => undefined,
      onDrain: () => this.#drained(),
      onClose: (error) => {
        this.closed = true;
        this.error = error;
        this.#drained();
      },
    });
  }

  /** @returns the sum of what it sent */
  async send(total: number): Promise<string> {
    const memory = Buffer.alloc(1_000_000);
    const hash = createHash('sha256');
    for (let left = total; left > 0 && !this.closed; ) {
      const bytes = memory.subarray(0, Math.min(left, 1 + this.next(memory.length)));
      bytes.fill(this.next(256));
      hash.update(bytes);
      left -= bytes.length;
      const cut = this.next(bytes.length);
      const drained = new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
      if (!this.connection.write([bytes.subarray(0, cut), bytes.subarray(cut)])) await drained;
    }
    this.connection.end();
    return hash.digest('hex');
  }
}

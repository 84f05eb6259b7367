import { MproxyError } from 'mproxy-base';
import { type Notice, type Sink, type Source, startProgram } from 'mproxy-flow';
import { sinkCounts, sourceCounts } from 'mproxy-flow/counts';
import t from 'tap';
import { until } from '../support/wait.js';

/** A source that fails, or ends, when it is told to. */
class Told implements Source {
  readonly counts = sourceCounts();
  #end: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(readonly name: string) {}

  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#end = { resolve, reject };
    });
  }

  fail(error: Error): void {
    this.#end?.reject(error);
  }

  stop(): void {
    this.#end?.resolve();
  }
}

const nowhere: Sink = {
  name: 'nowhere',
  counts: sinkCounts(),
  dropReason: '',
  write: () => undefined,
  flush: () => undefined,
  room: () => undefined,
  abortPending: () => undefined,
  close: async () => undefined,
};

/** A program of two routes. */
async function program() {
  const sources = [new Told('one'), new Told('other')] as const;
  const notices: Notice[] = [];
  const onNotice = (notice: Notice) => void notices.push(notice);
  const handle = startProgram({ onNotice }, undefined, async (program) => {
    for (const source of sources) program.route(source, [nowhere]);
  });
  await handle.ready;
  const losses = () => notices.filter(({ kind }) => kind === 'loss').map(({ text }) => text);
  return { handle, sources, losses };
}

t.test('a route that fails while another runs is reported at once; the other goes on', async (t) => {
  const { handle, sources, losses } = await program();
  const error = new MproxyError('MPROXY_FILE', 'reading: one: input/output error');
  sources[0].fail(error);
  await until('it is reported', () => losses().length > 0);
  t.same(losses(), ['reading: one: input/output error; the others go on']);
  let ended = false;
  handle.done.then(
    () => undefined,
    () => {
      ended = true;
    },
  );
  await new Promise((resolve) => setImmediate(resolve));
  t.notOk(ended, 'the other goes on');
  await t.rejects(handle.stop(), { code: 'MPROXY_FILE', exitStatus: 1, reported: true });
  t.equal(losses().length, 1, 'once');
});

t.test('the last route that fails ends the program with its error', async (t) => {
  const { handle, sources, losses } = await program();
  sources[0].fail(new MproxyError('MPROXY_FILE', 'reading: one: gone'));
  await until('it is reported', () => losses().length > 0);
  sources[1].fail(new MproxyError('MPROXY_FILE', 'reading: other: gone'));
  await t.rejects(handle.done, { message: 'reading: other: gone', reported: false });
  t.equal(losses().length, 1, 'its error is its report');
});

t.test('a mistake of the program ends it at once', async (t) => {
  const { handle, sources, losses } = await program();
  sources[0].fail(new TypeError('a mistake of ours'));
  await t.rejects(handle.done, { name: 'TypeError', message: 'a mistake of ours' });
  t.same(losses(), []);
  sources[1].stop();
});

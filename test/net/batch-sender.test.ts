import { constants } from 'node:os';
import { Batch } from 'mproxy-framing';
import { BatchSender, type BatchSenderOptions, MOST_FULL_MS } from 'mproxy-net/linux/batch-sender';
import { SharedCounts } from 'mproxy-net/linux/counts';
import { MOST_LEFT } from 'mproxy-net/linux/unsent';
import t from 'tap';
import { type Answer, FakeLibc } from './fake-libc.js';

const { EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINVAL, EIO, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOPROTOOPT } =
  constants.errno;

/** A socket that answers as it is told, and then takes everything; an answer may put errors in its error queue. */
class Socket {
  readonly taken: string[] = [];
  calls = 0;
  time = 0;
  queued = 0;
  /** Errors that were read from the queue. */
  returned = 0;
  readonly counts = new SharedCounts();
  readonly dispatch: BatchSender;

  constructor(
    options: Omit<BatchSenderOptions, 'readErrors'>,
    ...answers: (Answer | { errno: number; queues: number })[]
  ) {
    const fake = new FakeLibc();
    fake.onSend = (datagrams) => {
      this.calls++;
      const answer = answers.shift() ?? datagrams.length;
      if (typeof answer === 'object' && 'queues' in answer) this.queued += Number(answer.queues);
      if (typeof answer === 'number')
        this.taken.push(...datagrams.slice(0, answer).map((bytes) => bytes.toString('latin1')));
      return answer;
    };
    const readErrors = () => {
      const { queued } = this;
      this.queued = 0;
      this.returned += queued;
      return queued;
    };
    this.dispatch = new BatchSender(fake.libc, 3, this.counts, { ...options, readErrors }, () => this.time);
  }

  send(...datagrams: (string | [string, segment: number])[]): this {
    const batch = new Batch();
    const texts = datagrams.map((one) => (typeof one === 'string' ? one : one[0]));
    batch.reset(Buffer.from(texts.join('')));
    let at = 0;
    for (const [i, one] of datagrams.entries()) {
      batch.add(at, texts[i]!.length, typeof one === 'string' ? 0 : one[1]);
      at += texts[i]!.length;
    }
    this.dispatch.send(batch);
    return this;
  }
}

for (const [name, errno] of Object.entries({ EAGAIN, ENOBUFS })) {
  t.test(`a stream that meets ${name} sends on, later, from the first that was not taken`, async (t) => {
    const socket = new Socket({ waits: true }, 1, { errno }, { errno });
    socket.send('a', 'b', ['ccdd', 2]);
    t.same(socket.taken, ['a']);
    socket.send('e');
    t.same(socket.taken, ['a'], 'nothing overtakes what waits');
    socket.dispatch.retry();
    t.same(socket.taken, ['a'], 'there is still no room');
    socket.dispatch.retry();
    t.same(socket.taken, ['a', 'b', 'ccdd', 'e']);
    t.equal(socket.dispatch.left.length, 0);
    t.match(socket.counts.read(), { datagrams: 5, bytes: 7, dropped: 0, errors: {} });
  });
}

t.test('at the end what waits is sent once more, and what finds no room is counted', (t) => {
  const socket = new Socket({ waits: false }, { errno: EAGAIN }, 1, { errno: EAGAIN });
  socket.send('a', 'b', ['ccdd', 2]);
  t.same(socket.taken, []);
  socket.dispatch.finish();
  t.same(socket.taken, ['a']);
  t.equal(socket.dispatch.left.length, 0);
  t.match(socket.counts.read(), { datagrams: 1, dropped: 3 });
  t.end();
});

t.test('a stream waits no longer for a queue that takes nothing, and counts what it was given', async (t) => {
  const full = { errno: ENOBUFS };
  const socket = new Socket({ waits: true }, full, full, full, full, 1, full);
  socket.send('a', 'b', 'c');
  socket.time += MOST_FULL_MS - 1;
  socket.dispatch.retry();
  t.equal(socket.dispatch.left.length, 3, 'still waiting');
  socket.time += 1;
  socket.dispatch.retry();
  t.same(socket.taken, ['c'], 'each was tried');
  t.match(socket.counts.read(), { datagrams: 1, dropped: 0, errors: { ENOBUFS: 2 } });
  socket.send('d');
  t.equal(socket.dispatch.left.length, 1, 'it waits again after one was taken');
});

t.test('a relay counts what meets ENOBUFS, and goes on with the next', async (t) => {
  const socket = new Socket({ waits: false }, { errno: ENOBUFS });
  socket.send('a', 'b');
  t.same(socket.taken, ['b']);
  t.match(socket.counts.read(), { datagrams: 1, dropped: 0, errors: { ENOBUFS: 1 } });
});

t.test(
  'a relay on a thread whose socket stays full drops the rest of a batch, each datagram counted',
  async (t) => {
    const socket = new Socket({ waits: false, blocks: true }, 1, { errno: EAGAIN });
    socket.send('a', ['bbccd', 2], 'e');
    t.same(socket.taken, ['a']);
    t.match(socket.counts.read(), { datagrams: 1, dropped: 4, errors: {} });
  },
);

for (const [name, errno] of Object.entries({ EIO, EINVAL, ENOPROTOOPT })) {
  t.test(`a route that answers ${name} to segments gets single datagrams from there on`, async (t) => {
    const socket = new Socket({ waits: true }, 1, { errno });
    socket.send('a', ['bbc', 2]).send(['ddee', 2]);
    t.same(socket.taken, ['a', 'bb', 'c', 'dd', 'ee']);
    t.equal(socket.dispatch.offload, false);
    t.match(socket.counts.read(), { datagrams: 5, errors: {} });
  });
}

t.test('segments that are too big for the route go one by one, and offload stays', async (t) => {
  const socket = new Socket({ waits: true }, { errno: EMSGSIZE });
  socket.send(['aab', 2], ['ccd', 2]);
  t.same(socket.taken, ['aa', 'b', 'ccd']);
  t.equal(socket.dispatch.offload, true);
});

t.test('a stream cuts a datagram that is too big after a newline, else in the middle', async (t) => {
  const socket = new Socket({ waits: true }, { errno: EMSGSIZE }, 2, { errno: EMSGSIZE });
  socket.send('12\n45678').send('abcd');
  t.same(socket.taken, ['12\n', '45678', 'ab', 'cd']);
  const relay = new Socket({ waits: false }, { errno: EMSGSIZE }).send('12\n45678', 'e');
  t.same(relay.taken, ['e'], 'a relay never cuts');
  t.match(relay.counts.read().errors, { EMSGSIZE: 1 });
});

t.test(
  'a relay on the event loop leaves what its socket has no room for, in order, within a limit',
  async (t) => {
    const full = { errno: EAGAIN };
    const socket = new Socket({ waits: false }, 1, full, full);
    socket.send('a', ['bbccd', 2], 'e');
    t.same(socket.taken, ['a']);
    t.match(socket.counts.read(), { datagrams: 1, dropped: 0, errors: {} });
    const large = 'x'.repeat(60_000);
    const fit = Math.floor((MOST_LEFT - 2 * 128 - 6) / (large.length + 128));
    for (let i = 0; i < fit + 3; i++) socket.send(large);
    t.equal(socket.counts.read().dropped, 3, 'what is beyond the limit is dropped');
    socket.dispatch.retry();
    t.equal(socket.counts.read().dropped, 3, 'there is still no room');
    socket.dispatch.retry();
    t.same(socket.taken, ['a', 'bbccd', 'e', ...Array(fit).fill(large)]);
    t.match(socket.counts.read(), { datagrams: 5 + fit, dropped: 3 });
    socket.send('f');
    t.equal(socket.taken.at(-1), 'f', 'and then sends at once again');
  },
);

for (const [name, errno] of Object.entries({ ECONNREFUSED, EHOSTUNREACH, EMSGSIZE })) {
  t.test(`an ${name} that the network returned costs no datagram and is read once`, async (t) => {
    const returned = { errno, queues: 1 };
    const socket = new Socket({ waits: true }, returned, 1, returned);
    socket.send('a', 'b').send('c');
    t.same(socket.taken, ['a', 'b', 'c']);
    t.equal(socket.returned, 2);
    t.match(socket.counts.read(), { datagrams: 3, errors: {} });
  });
}

t.test('an error that stopped a call which took something is read, and costs nothing', async (t) => {
  const socket = new Socket({ waits: true }, 1);
  socket.queued = 1;
  socket.send('a', 'b', 'c');
  t.same(socket.taken, ['a', 'b', 'c']);
  t.equal(socket.returned, 1);
  t.match(socket.counts.read(), { datagrams: 3, errors: {} });
});

t.test('an error that another thread read from the queue costs no datagram', async (t) => {
  for (const errno of [ECONNREFUSED, EHOSTUNREACH]) {
    const socket = new Socket({ waits: true }, { errno }).send('a');
    t.same(socket.taken, ['a']);
    t.match(socket.counts.read(), { datagrams: 1, errors: {} });
  }
});

t.test("a send's own error costs the datagram, and is counted once", async (t) => {
  const socket = new Socket({ waits: false }, { errno: ENETUNREACH }, { errno: ENETUNREACH }).send('a', 'b');
  t.same(socket.taken, ['b']);
  t.match(socket.counts.read(), { datagrams: 1, errors: { ENETUNREACH: 1 } });
});

t.test('a host that answers every send with an error does not hold up the sender for ever', async (t) => {
  const refused = { errno: ECONNREFUSED, queues: 1 };
  const socket = new Socket({ waits: true }, ...Array(1000).fill(refused)).send('a');
  t.ok(socket.calls < 20, `${socket.calls} calls`);
  t.match(socket.counts.read(), { datagrams: 0, errors: { ECONNREFUSED: 1 } });
});

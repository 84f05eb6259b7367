import { constants } from 'node:os';
import { Batch } from 'mproxy-udp';
import { SharedCounts } from 'mproxy-udp/linux/counts';
import { Dispatch, type DispatchOptions } from 'mproxy-udp/linux/dispatch';
import t from 'tap';
import { type Answer, FakeLibc } from './fake-libc.js';

const { EAGAIN, ECONNREFUSED, EINVAL, EIO, EMSGSIZE, ENOBUFS, ENOPROTOOPT } = constants.errno;

/** A socket that answers as it is told, and then takes everything. */
class Socket {
  readonly taken: string[] = [];
  readonly counts = new SharedCounts();
  readonly dispatch: Dispatch;

  constructor(options: DispatchOptions, ...answers: Answer[]) {
    const fake = new FakeLibc();
    fake.onSend = (datagrams) => {
      const answer = answers.shift() ?? datagrams.length;
      if (typeof answer === 'number')
        this.taken.push(...datagrams.slice(0, answer).map((bytes) => bytes.toString('latin1')));
      return answer;
    };
    this.dispatch = new Dispatch(fake.libc, 3, this.counts, options);
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

t.test('a relay counts what meets ENOBUFS, and goes on with the next', async (t) => {
  const socket = new Socket({ waits: false }, { errno: ENOBUFS });
  socket.send('a', 'b');
  t.same(socket.taken, ['b']);
  t.match(socket.counts.read(), { datagrams: 1, dropped: 0, errors: { ENOBUFS: 1 } });
});

t.test('a relay whose socket stays full drops the rest of the batch, each datagram counted', async (t) => {
  const socket = new Socket({ waits: false }, 1, { errno: EAGAIN });
  socket.send('a', ['bbccd', 2], 'e');
  t.same(socket.taken, ['a']);
  t.match(socket.counts.read(), { datagrams: 1, dropped: 4, errors: {} });
});

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

t.test('a datagram whose send told a refusal is sent once more, and no more than that', async (t) => {
  const refused = { errno: ECONNREFUSED };
  const socket = new Socket({ waits: true }, refused, 1, refused, refused);
  socket.send('a').send('b', 'c');
  t.same(socket.taken, ['a', 'c']);
  t.match(socket.counts.read(), { datagrams: 2, errors: { ECONNREFUSED: 3 } });
});

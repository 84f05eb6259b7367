import { answer, MESSAGE_HEADER, messageLength, Packer, PacketStore, Tracker } from 'mproxy-mold';
import t from 'tap';
import { Random } from '../support/random.js';
import { SESSION } from './packets.js';

const ROUNDS = 200;
/** Simulated milliseconds that a stream may take, whatever happens to it. */
const LONGEST = 900_000;
const SCRATCH = Buffer.alloc(65_536);

/** A way on which anything may happen to a packet. */
interface Way {
  lose: number;
  duplicate: number;
  /** Milliseconds at least, and how many more at most. */
  delay: number;
  jitter: number;
}

interface Setting {
  data: Way;
  requests: Way;
  answers: Way;
  /** Bytes. */
  store: number;
  window: number;
  payload: number;
}

/** What happens later, in simulated time. */
class Clock {
  now = 1000;
  #later: { at: number; go: () => void }[] = [];

  get next(): number {
    return this.#later[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  in(ms: number, go: () => void): void {
    const at = this.now + ms;
    let place = this.#later.length;
    while (place > 0 && this.#later[place - 1]!.at > at) place--;
    this.#later.splice(place, 0, { at, go });
  }

  to(time: number): void {
    this.now = Math.max(this.now, time);
    while (this.next <= this.now) this.#later.shift()!.go();
  }
}

function randomWay(random: Random): Way {
  return {
    lose: random.pick([0, 0.001, 0.05, 0.3]),
    duplicate: random.pick([0, 0.05, 0.3]),
    delay: random.pick([0, 1, 30]),
    jitter: random.pick([0, 0, 1, 50]),
  };
}

function randomSetting(random: Random): Setting {
  const [data, requests, answers] = [randomWay(random), randomWay(random), randomWay(random)];
  const store = random.pick([1 << 16, 1 << 22, 1 << 22]);
  const window = random.pick([3000, 20_000, 1 << 22]);
  return { data, requests, answers, store, window, payload: random.integer(30, 2000) };
}

/** A sender, a receiver and the ways between them; what came out, `undefined` for each message that was lost. */
function simulate(random: Random, messages: Buffer[], setting: Setting) {
  const clock = new Clock();
  const through = (way: Way, go: () => void) => {
    const copies = random.next() < way.lose ? 0 : random.next() < way.duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++) clock.in(way.delay + random.next() * way.jitter, go);
  };
  const out: (Buffer | undefined)[] = [];
  const tracker = new Tracker({
    ...{ first: 1, window: setting.window, budget: 100_000, timeout: 30_000, random: () => random.next() },
    deliver: (bytes, offset, length) => {
      for (let at = offset; at < offset + length; at += MESSAGE_HEADER + messageLength(bytes, at))
        out.push(
          Buffer.from(bytes.subarray(at + MESSAGE_HEADER, at + MESSAGE_HEADER + messageLength(bytes, at))),
        );
    },
    lost: (first, count) => {
      if (first !== out.length + 1) throw new Error(`${first} is lost where ${out.length + 1} is next`);
      for (let i = 0; i < count; i++) out.push(undefined);
    },
  });
  const send = (way: Way, packet: Buffer) =>
    through(way, () => tracker.packet(packet, 0, packet.length, clock.now));

  const store = new PacketStore(setting.store);
  const packer = new Packer(store, SESSION, setting.payload, (offset, length) =>
    send(setting.data, Buffer.from(store.slab.subarray(offset, offset + length))),
  );
  const reply = (first: number, count: number) => {
    const { oldest } = store;
    if (oldest !== undefined && oldest > first) through(setting.answers, () => tracker.gone(oldest));
    for (let next = Math.max(first, oldest ?? first); next < first + count; ) {
      const found = answer(store, next, first + count - next, SCRATCH);
      if (!found) break;
      send(setting.answers, Buffer.from(found.bytes.subarray(found.offset, found.offset + found.length)));
      next = found.next;
    }
  };

  let written = 0;
  const write = () => {
    if (written === messages.length) {
      send(setting.data, packer.end());
      if (!tracker.ended) clock.in(50, write);
      return;
    }
    const message = messages[written++]!;
    packer.message(message, 0, message.length);
    if (random.next() < 0.1) packer.flush();
    clock.in(random.next() * 0.2, write);
  };
  write();
  while (!tracker.ended && clock.now < LONGEST) {
    const again = tracker.ask(clock.now, (first, count) =>
      through(setting.requests, () => reply(first, count)),
    );
    clock.to(Math.min(clock.next, clock.now + Math.max(again, 0.1)));
  }
  return { out, tracker };
}

/** What is wrong with what came out. */
function check(
  messages: Buffer[],
  setting: Setting,
  { out, tracker }: ReturnType<typeof simulate>,
): string | undefined {
  if (!tracker.ended) return `not at its end, but at ${tracker.next} of ${messages.length}`;
  if (out.length !== messages.length) return `${out.length} messages of ${messages.length}`;
  const lost = out.filter((message) => !message).length;
  if (lost !== tracker.counts.lost) return `${lost} lost, ${tracker.counts.lost} counted`;
  if (lost > 0 && setting.store > 1 << 16) return `${lost} lost, which could all be had`;
  const wrong = out.findIndex((message, i) => message && !message.equals(messages[i]!));
  return wrong < 0 ? undefined : `message ${wrong + 1} is another`;
}

t.test('whatever happens on the way, each message is delivered once and in order, or told lost', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const sum = { asked: 0, repaired: 0, duplicates: 0, lost: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const longest = random.pick([0, 20, 300, 3000]);
    const messages = Array.from({ length: random.integer(1, 600) }, (_, i) =>
      Buffer.alloc(random.integer(0, longest), `${i} `),
    );
    const setting = randomSetting(random);
    const result = simulate(random, messages, setting);
    const wrong = check(messages, setting, result);
    if (wrong) {
      t.fail(`${wrong}: round ${round}, SEED=${random.seed}`, { setting });
      return t.end();
    }
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += result.tracker.counts[name];
  }
  t.ok(
    Object.values(sum).every((count) => count > 0),
    JSON.stringify(sum),
  );
  t.end();
});

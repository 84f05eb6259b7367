import { text, usage } from 'mproxy-base';
import type { AnyAddress } from 'mproxy-flow';
import { sinkCounts, sourceCounts } from 'mproxy-flow/counts';
import type { PacketOpener, PacketSink, PacketSource, Transport } from 'mproxy-flow/transport';
import { Batch } from 'mproxy-framing';
import type { Deliver } from 'mproxy-net';
import { parseKeys, withDefaults } from 'mproxy-net/keys';

/** An address `bus://TOPIC[,KEY[=VALUE]...]`. */
interface BusAddress extends AnyAddress {
  topic: string;
}

/** Takes a message, and what published it. A result of a source is that of its delivery. */
type Subscriber = (message: Buffer, by: unknown) => unknown;

const topics = new Map<string, Set<Subscriber>>();

function subscribersOf(topic: string): Set<Subscriber> {
  const known = topics.get(topic) ?? new Set();
  topics.set(topic, known);
  return known;
}

/** Publishes one message; without subscribers it is lost. @returns their results */
export function publish(topic: string, message: Buffer | string, by?: unknown): unknown[] {
  return [...subscribersOf(topic)].map((take) => take(Buffer.from(message), by));
}

/** Takes every message of a topic until the test ends. */
export function subscribe(t: { teardown(end: () => void): void }, topic: string, take: Subscriber): void {
  subscribersOf(topic).add(take);
  t.teardown(() => subscribersOf(topic).delete(take));
}

/** Whether a topic has this many subscribers. */
export function hasSubscribers(topic: string, count: number): boolean {
  return subscribersOf(topic).size === count;
}

class BusSource implements PacketSource {
  readonly counts = sourceCounts();
  readonly #batch = new Batch();
  readonly #ignored: unknown[] = [];
  readonly #ended: Promise<void>;
  #end: () => void = () => undefined;

  constructor(private readonly address: BusAddress) {
    this.#batch.large = true;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get name(): string {
    return this.address.text;
  }

  async run(deliver: Deliver): Promise<void> {
    const take: Subscriber = (message, by) => {
      if (this.#ignored.includes(by)) return undefined;
      this.counts.datagrams++;
      this.counts.bytes += message.length;
      this.#batch.reset(message);
      this.#batch.add(0, message.length);
      return deliver(this.#batch);
    };
    subscribersOf(this.address.topic).add(take);
    await this.#ended;
    subscribersOf(this.address.topic).delete(take);
  }

  stop(): void {
    this.#end();
  }

  ignore(own: unknown): void {
    this.#ignored.push(own);
  }
}

class BusSink implements PacketSink {
  readonly counts = sinkCounts();
  readonly dropReason = 'a bus drops nothing';
  readonly own = [this];

  constructor(private readonly address: BusAddress) {}

  get name(): string {
    return this.address.text;
  }

  write(batch: Batch): void {
    batch.each((offset, length) => {
      this.counts.datagrams++;
      this.counts.bytes += length;
      publish(this.address.topic, batch.slab.subarray(offset, offset + length), this);
    });
  }

  flush(): void {}
  room(): undefined {}
  abortPending(): void {}
  async close(): Promise<void> {}
}

const opener: PacketOpener<BusAddress> = {
  feeds: (output, input) =>
    input.type.schemes.includes('bus') && input.address.topic === output.address.topic,
  meets: () => true,
  payload: async () => 2 ** 20,
  openSinks: async (program, targets) => targets.map(({ address }) => program.sink(new BusSink(address))),
  async openSources(program, { address }) {
    program.listening({ transport: 'topic', local: address.topic });
    return [program.source(new BusSource(address))];
  },
  openPacketSink: async (_program, { address }) => new BusSink(address),
};

/** Messages of any size within this process, whose senders have no addresses. */
export const bus: Transport<BusAddress> = {
  name: 'bus',
  schemes: ['bus'],
  syntax: 'bus://TOPIC',
  keys: { source: ['frame'], sink: ['frame'] },
  ownKeys: {
    source: { queue: text({ value: 'NAME', help: 'share the messages with others of this name' }) },
  },
  carries: 'datagrams',
  ignoresOwn: true,
  waits: true,
  listens: [],
  parse(typed, rule, defaults) {
    const [place = '', ...pairs] = typed.split(',');
    const topic = /^bus:\/\/(\w+)$/.exec(place)?.[1];
    if (topic === undefined) throw usage(rule.flag, typed, 'no topic', 'write bus://TOPIC');
    return { text: typed, topic, ...withDefaults(parseKeys(pairs, typed, rule), typed, rule, defaults) };
  },
  load: async () => opener,
};

import { createSocket, type Socket } from 'node:dgram';
import type { Test } from 'tap';
import { Random } from './random.js';

/** What happens to the datagrams of one direction: probabilities from 0 to 1, each drawn for itself. */
export interface Trouble {
  lose?: number;
  /** Arrives twice, the second copy without further trouble. */
  duplicate?: number;
  /** Arrives behind 1 to `span` (8) later datagrams of its direction; after `delayMs` if they do not come. */
  reorder?: number;
  span?: number;
  /** Arrives up to `delayMs` (20) late, whatever overtakes it. */
  delay?: number;
  delayMs?: number;
}

export interface Place {
  address: string;
  port: number;
}

export interface LossyOptions extends Trouble {
  /** Where the datagrams of the senders go; a group is used on the loopback interface alone. */
  to: Place;
  seed?: number;
  /** What is different on the way to the senders, where the requests go. */
  back?: Trouble;
  /** Is shown what comes from the senders, before anything happens to it. */
  seen?: (datagram: Buffer) => void;
}

export class Counts {
  received = 0;
  sent = 0;
  lost = 0;
  duplicated = 0;
  reordered = 0;
  delayed = 0;
}

export interface Relay extends Place {
  seed: number;
  /** `on`: from the senders, with their answers. `back`: to the senders. */
  counts: { on: Counts; back: Counts };
  /** Whether everything is lost, both ways. */
  cut: boolean;
}

const LOOPBACK = '127.0.0.1';
const BUFFER = 4 * 1024 * 1024;

/**
 * A UDP relay on 127.0.0.1 that does harm: the same harm for the same seed and the same datagrams in each direction.
 * It is a NAT of two levels. Every sender has a socket that faces the receivers; whoever else than `to` writes to that
 * one, as a receiver that asks, has a socket that faces this sender, and gets its answers from where it wrote to.
 */
export async function lossyRelay(t: Test, options: LossyOptions): Promise<Relay> {
  const { to, back: different, seen, seed = new Random().seed, ...trouble } = options;
  const on = new Direction(trouble, seed);
  const back = new Direction({ ...trouble, ...different }, seed + 1);
  const sockets: Socket[] = [];
  t.teardown(() => {
    on.close();
    back.close();
    for (const socket of sockets) socket.close();
  });

  const open = (received: (datagram: Buffer, from: Place) => void): Socket => {
    const socket = createSocket({ type: 'udp4', recvBufferSize: BUFFER, sendBufferSize: BUFFER });
    sockets.push(socket);
    // What is sent before it is bound waits for that.
    socket.bind(0, LOOPBACK, () => socket.setMulticastInterface(LOOPBACK));
    return socket.on('message', received);
  };
  const facingReceivers = once((sender) => {
    const facingSender = once((asker) =>
      open((datagram, from) => {
        if (same(from, sender)) on.pass(datagram, facing, asker);
      }),
    );
    const facing = open((datagram, from) => {
      if (same(from, to)) back.pass(datagram, front, sender);
      else back.pass(datagram, facingSender(from), sender);
    });
    return facing;
  });
  const front = open((datagram, from) => {
    seen?.(datagram);
    on.pass(datagram, facingReceivers(from), to);
  });
  await new Promise<void>((resolve, reject) => {
    front.once('error', reject);
    front.once('listening', resolve);
  });
  return {
    address: LOOPBACK,
    port: front.address().port,
    seed,
    counts: { on: on.counts, back: back.counts },
    get cut() {
      return on.cut;
    },
    set cut(cut) {
      on.cut = back.cut = cut;
    },
  };
}

class Direction {
  readonly counts = new Counts();
  cut = false;
  readonly #random: Random;
  readonly #trouble: Required<Trouble>;
  readonly #late = new Set<{ after: number; go: () => void }>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(trouble: Trouble, seed: number) {
    this.#random = new Random(seed);
    this.#trouble = { lose: 0, duplicate: 0, reorder: 0, delay: 0, span: 8, delayMs: 20, ...trouble };
  }

  pass(datagram: Buffer, by: Socket, to: Place): void {
    const { lose, duplicate, reorder, delay, span, delayMs } = this.#trouble;
    this.counts.received += 1;
    // As many draws for each: what happens to the n-th follows from the seed and n alone.
    const [lost, twice, behind, late] = [lose, duplicate, reorder, delay].map((p) => this.#random.next() < p);
    const how = this.#random.next();
    const go = () => this.#send(datagram, by, to);
    if (lost || this.cut) {
      this.counts.lost += 1;
      return;
    }
    if (twice) this.counts.duplicated += 1;
    if (behind) {
      this.counts.reordered += 1;
      this.#behind(1 + Math.floor(how * span), go);
    } else if (late) {
      this.counts.delayed += 1;
      this.#in(how * delayMs, go);
    } else this.#overtake(go);
    if (twice) this.#overtake(go);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#late.clear();
  }

  #behind(after: number, go: () => void): void {
    const one = { after, go };
    this.#late.add(one);
    this.#in(this.#trouble.delayMs, () => {
      if (this.#late.delete(one)) go();
    });
  }

  /** Sends one, and then those that waited for it to be sent first. */
  #overtake(go: () => void): void {
    go();
    for (const one of this.#late) {
      one.after -= 1;
      if (one.after > 0) continue;
      this.#late.delete(one);
      one.go();
    }
  }

  #in(ms: number, go: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      go();
    }, ms);
    this.#timers.add(timer);
  }

  #send(datagram: Buffer, by: Socket, { address, port }: Place): void {
    by.send(datagram, port, address, (error) => {
      if (!error) this.counts.sent += 1;
    });
  }
}

/** Makes one for each place, the first time that it is asked for. */
function once(make: (place: Place) => Socket): (place: Place) => Socket {
  const made = new Map<string, Socket>();
  return (place) => {
    const key = `${place.address}:${place.port}`;
    const socket = made.get(key) ?? make(place);
    made.set(key, socket);
    return socket;
  };
}

function same(one: Place, other: Place): boolean {
  return one.port === other.port && one.address === other.address;
}

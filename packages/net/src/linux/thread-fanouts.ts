import { reason } from 'mproxy-base';
import { ClientCounts } from '../fanout/client-counts.js';
import { Fanout } from '../fanout/fanout.js';
import type { ClientsEvent, ClientsOrder, ClientsTask } from '../fanout/thread-clients.js';
import { BatchVectors } from './batch-vectors.js';
import type { Libc } from './libc.js';
import type { Loop } from './loop.js';
import { StreamConnection } from './streams/connection.js';
import { StreamParts } from './streams/parts.js';
import { PlainChannel } from './streams/plain-channel.js';
import { LoopTimer } from './streams/streams.js';

/** The fan-outs of a receiving thread, to clients in its loop. */
export class ThreadFanouts {
  readonly #fanouts = new Map<number, Fanout>();
  readonly #parts: StreamParts;
  /** Used during a call only. */
  readonly #prepared: BatchVectors;

  constructor(
    private readonly libc: Libc,
    private readonly loop: Loop,
    private readonly report: (number: number, event: ClientsEvent) => void,
  ) {
    this.#parts = new StreamParts(libc, loop);
    this.#prepared = new BatchVectors(libc);
  }

  open({ number, settings, counts }: ClientsTask): Fanout {
    const events = {
      joined: (client: number) => this.report(number, { what: 'joined', client }),
      left: (client: number, reason?: string) => this.report(number, { what: 'left', client, reason }),
    };
    const fanout = new Fanout(
      settings,
      new ClientCounts(counts),
      events,
      (onDue) => new LoopTimer(this.loop, onDue),
      this.#prepared,
    );
    this.#fanouts.set(number, fanout);
    return fanout;
  }

  obey(number: number, order: ClientsOrder): void {
    const fanout = this.#fanouts.get(number)!;
    if (order.what === 'take') this.#take(number, fanout, order);
    else fanout.close(() => this.report(number, { what: 'closed' }));
  }

  /** The thread ends: nothing is served any more. */
  abort(): void {
    for (const fanout of this.#fanouts.values()) fanout.abort(new Error('the receiving thread ended'));
  }

  #take(number: number, fanout: Fanout, { client, fd }: { client: number; fd: number }): void {
    let connection: StreamConnection;
    try {
      const channel = new PlainChannel(this.libc, fd);
      connection = new StreamConnection(this.#parts, fd, channel, { peer: undefined, local: undefined });
    } catch (error) {
      this.libc.close(fd);
      this.report(number, { what: 'left', client, reason: reason(error) });
      return;
    }
    fanout.add(client, connection, () => connection.offerVectors(this.#prepared.vectors));
  }
}

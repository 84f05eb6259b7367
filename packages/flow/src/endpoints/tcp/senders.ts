import type { BlockList } from 'node:net';
import { reason, showDuration } from 'mproxy-base';
import type { Frame } from 'mproxy-framing';
import {
  type Address,
  type Answer,
  type Connection,
  type Deliver,
  type TlsIdentities,
  untilQuiet,
} from 'mproxy-net';
import { sourceCounts } from '../../counts.js';
import { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import type { Source } from '../../source.js';
import { FramedStream } from '../../stream/framed-stream.js';
import { readConnection } from '../../stream/read-connection.js';
import { SENDER_CONNECTED, SENDER_LEFT } from './events.js';
import { TCP_NAMES } from './flags.js';
import { Listener } from './listener.js';

export interface TcpListenOptions {
  frame: Frame;
  payload: number;
  flushAfter: number | undefined;
  maxSenders: number;
  /** Milliseconds of silence after which a sender is disconnected; 0: never. */
  senderTimeout: number;
  allow: BlockList | undefined;
  identities: TlsIdentities | undefined;
}

/** A TCP or TLS listener. Each connection is a stream of its own: lines of two never mix. */
export class TcpListenSource implements Source {
  readonly counts = { ...sourceCounts(), connections: { now: 0, ever: 0 }, timedOut: 0 };
  readonly #listener: Listener;
  readonly #notices: NoticeLimit;
  readonly #streams = new Map<Connection, Promise<void>>();
  #stopped = false;
  #deliver: Deliver = () => undefined;
  #resolveEnd!: () => void;
  #start!: () => void;
  /** Connections that come before {@link run} are read after it began. */
  readonly #started = new Promise<void>((resolve) => {
    this.#start = resolve;
  });
  /** A bug of this program, found by one of the streams. */
  #rejectEnd!: (error: unknown) => void;
  readonly #end = new Promise<void>((resolve, reject) => {
    this.#resolveEnd = resolve;
    this.#rejectEnd = reject;
  });

  constructor(
    program: Program,
    private readonly address: Address,
    private readonly options: TcpListenOptions,
  ) {
    this.#notices = new NoticeLimit(`senders: ${this.name}`, program);
    this.#listener = new Listener(program, address, {
      allow: options.allow,
      identities: options.identities,
      most: options.maxSenders,
      mostFlag: TCP_NAMES.maxSenders,
      notices: this.#notices,
      refused: () => {
        this.counts.refused++;
      },
      accepted: (connection, peer) => {
        if (this.#stopped) connection.close();
        else this.#streams.set(connection, this.#read(connection, peer).catch(this.#rejectEnd));
      },
    });
    if (options.identities) program.onReload(() => this.#listener.reload());
  }

  get name(): string {
    return this.address.text;
  }

  open(answers: Answer[]): Promise<void> {
    return this.#listener.open(answers);
  }

  async run(deliver: Deliver): Promise<void> {
    this.#deliver = deliver;
    this.#start();
    await this.#end;
    await Promise.all(this.#streams.values());
  }

  /** Reads what the kernel already holds before the connections are closed. */
  stop(): void {
    this.#stopped = true;
    this.#listener.close();
    void untilQuiet(() => this.counts.bytes).then(() => {
      this.#listener.closeConnections();
      this.#resolveEnd();
    });
  }

  async #read(connection: Connection, peer: string): Promise<void> {
    const { counts, options } = this;
    const { senderTimeout } = options;
    counts.connections.now++;
    counts.connections.ever++;
    this.#notices.emit(SENDER_CONNECTED, { listener: this.name, peer });
    let waiting = 0;
    const stream = new FramedStream({
      ...options,
      counts,
      lent: 'borrowed',
      deliver: (batch) => {
        const room = this.#deliver(batch);
        if (!room) return undefined;
        waiting++;
        return room.finally(() => waiting--);
      },
    });
    await this.#started;
    connection.limitIdle(senderTimeout);
    const why = await readConnection(connection, stream, () => {
      // While the sinks are full this side does not read.
      if (waiting === 0) this.#timedOut(connection);
    });
    if (await stream.breakOff()) counts.brokenLines++;
    connection.end();
    counts.connections.now--;
    this.#streams.delete(connection);
    this.#notices.emit(SENDER_LEFT, { listener: this.name, peer, reason: why && reason(why) });
  }

  #timedOut(connection: Connection): void {
    this.counts.timedOut++;
    const limit = showDuration(this.options.senderTimeout);
    const text = `sent nothing for ${limit}: disconnected (${TCP_NAMES.senderTimeout})`;
    connection.close(Object.assign(new Error(text), { code: 'MPROXY_SILENT' }));
  }
}

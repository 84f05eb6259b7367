import type { BlockList } from 'node:net';
import type { Batch } from 'mproxy-framing';
import {
  type Address,
  type Answer,
  ClientCounts,
  Fanout,
  type FanoutSettings,
  peerName,
  ThreadClients,
  type TlsIdentities,
} from 'mproxy-net';
import { type SinkCounts, sinkCounts } from '../../counts.js';
import { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { ACCEPT_FAILED, CLIENT_CONNECTED, CLIENT_FAILED, CLIENT_LEFT, HANDSHAKE_FAILED } from './events.js';
import { TCP_NAMES } from './flags.js';
import { Listener } from './listener.js';

export interface ClientsOptions extends FanoutSettings {
  maxClients: number;
  allow: BlockList | undefined;
  identities: TlsIdentities | undefined;
}

/**
 * A TCP or TLS listener that sends every datagram to every connected client. The clients live in the loop of the thread that receives
 * the datagrams, where there is one that can have them; else, and where several sources share the sink, on the event loop. The listener
 * is on the event loop in any case.
 */
export class ClientsSink implements Sink {
  readonly dropReason = 'clients did not keep up';
  readonly dropAdvice = `see ${TCP_NAMES.clientBuffer}`;
  readonly #counts = sinkCounts();
  readonly #listener: Listener;
  readonly #notices: NoticeLimit;
  /** The peers of clients by their number. */
  readonly #peers = new Map<number, string>();
  #last = 0;
  /** The clients, either on the event loop or in a thread. */
  #fanout: Fanout | undefined;
  readonly #loopCounts = new ClientCounts();
  #thread: ThreadClients | undefined;
  #begun = false;

  constructor(
    private readonly program: Program,
    private readonly address: Address,
    private readonly options: ClientsOptions,
  ) {
    this.#notices = new NoticeLimit(`clients: ${this.name}`, program);
    this.#listener = new Listener(program, address, {
      allow: options.allow,
      identities: options.identities,
      most: options.maxClients,
      mostFlag: TCP_NAMES.maxClients,
      notices: this.#notices,
      held: true,
      given: () => this.#thread?.size ?? 0,
      refused: () => {
        this.#counts.refused++;
      },
      accepted: (connection, peer) => this.#onLoop.add(this.#number(peer), connection),
    });
    if (options.identities) program.onReload(() => this.#reload(options.identities!));
  }

  get name(): string {
    return this.address.text;
  }

  get counts(): SinkCounts {
    return { ...this.#counts, ...(this.#thread?.counts ?? this.#loopCounts.read()) };
  }

  open(answers: Answer[]): Promise<void> {
    return this.#listener.open(answers);
  }

  inThread(isShared: boolean) {
    if (isShared || !this.#listener.gives) return undefined;
    const { frame, buffer, timeout, identities } = this.options;
    const opened = () => this.#listener.accept((fd, peer) => thread.add(this.#number(peerName(peer)), fd));
    const events = { ...this.#events, opened };
    const thread = new ThreadClients({ frame, buffer, timeout }, events, identities?.tls);
    this.#thread = thread;
    return { clients: [thread] };
  }

  begin(): void {
    if (!this.#begun) this.#listener.accept();
    this.#begun = true;
  }

  write(batch: Batch): void {
    this.#onLoop.write(batch);
  }

  flush(): void {
    this.#onLoop.flush();
  }

  room(): undefined {
    return undefined;
  }

  abortPending(): void {}

  async close(): Promise<void> {
    this.#listener.close();
    const fanout = this.#fanout;
    await (this.#thread?.close() ?? new Promise<void>((done) => (fanout ? fanout.close(done) : done())));
    this.#listener.closeConnections();
  }

  /** @throws before any listener or thread has other certificates */
  #reload({ tls }: TlsIdentities): void {
    this.#listener.reload();
    this.#thread?.secure(tls);
  }

  /** The clients on the event loop. */
  get #onLoop(): Fanout {
    this.#fanout ??= new Fanout(this.options, this.#loopCounts, this.#events, (onDue) =>
      this.program.streams.timer(onDue),
    );
    return this.#fanout;
  }

  #number(peer: string): number {
    this.#peers.set(++this.#last, peer);
    return this.#last;
  }

  readonly #events = {
    joined: (client: number) => this.#notices.emit(CLIENT_CONNECTED, this.#event(client)),
    left: (client: number, reason?: string) => {
      const event = this.#event(client);
      this.#peers.delete(client);
      if (reason !== undefined) this.#notices.emit(CLIENT_FAILED, { ...event, reason });
      this.#notices.emit(CLIENT_LEFT, event);
    },
    refused: (client: number, reason: string) => {
      this.#peers.delete(client);
      const event = this.options.identities ? HANDSHAKE_FAILED : ACCEPT_FAILED;
      this.#notices.emit(event, { listener: this.name, reason });
    },
  };

  #event(client: number): { listener: string; peer: string } {
    return { listener: this.name, peer: this.#peers.get(client)! };
  }
}

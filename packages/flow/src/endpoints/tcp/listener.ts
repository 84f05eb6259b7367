import { type BlockList, isIPv4 } from 'node:net';
import { failure, reason, type SocketAddress, showAddress } from 'mproxy-base';
import {
  type Address,
  ALLOW_NAME,
  type Answer,
  type Connection,
  isMissing,
  listenFailure,
  peerOf,
  type StreamListener,
  type TakeDescriptor,
  type TlsIdentities,
} from 'mproxy-net';
import { ADDRESS_SKIPPED } from '../../events.js';
import type { NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import { isIPv6Only } from '../../targets.js';
import { ACCEPT_FAILED, CONNECTION_REFUSED, HANDSHAKE_FAILED } from './events.js';

export interface ListenerOptions {
  allow: BlockList | undefined;
  /** Given for `tls://`. */
  identities: TlsIdentities | undefined;
  /** Limit on connections, those in a TLS handshake included, and the flag that sets it. */
  most: number;
  mostFlag: string;
  /** Whether it accepts nothing before {@link Listener.accept}, where the engine can. */
  held?: true;
  /** Connections whose descriptors were given away, and that are not closed. */
  given?: () => number;
  /** For events that peers cause. */
  notices: NoticeLimit;
  /** Called when a connection is refused. */
  refused: () => void;
  /** Takes a connection after its TLS handshake, with the address of its peer. */
  accepted: (connection: Connection, peer: string) => void;
}

/** Accepts TCP or TLS connections on every answer of one address. */
export class Listener {
  readonly #listeners: StreamListener[] = [];

  constructor(
    private readonly program: Program,
    private readonly address: Address,
    private readonly options: ListenerOptions,
  ) {}

  /** @throws MPROXY_LISTEN */
  async open(answers: Answer[]): Promise<void> {
    let { port } = this.address;
    for (const { ip, zone } of answers) {
      const host = zone === undefined ? ip : `${ip}%${zone}`;
      try {
        const ipv6Only = isIPv6Only(this.program, 'stream', ip, this.address.port);
        const listener = await this.#listen({ address: host, port, ipv6Only });
        this.#listeners.push(listener);
        port = listener.local!.port;
      } catch (error) {
        const missing = isMissing(error) && answers.length > 1;
        if (!missing) throw listenFailure(this.address, error);
        this.program.emit(ADDRESS_SKIPPED, { listener: this.#name, address: ip, reason: reason(error) });
        continue;
      }
      const local = { address: host, port };
      const transport = this.options.identities ? 'tls' : 'tcp';
      this.program.listening({ transport, local: showAddress(local) }, local);
    }
    if (this.#listeners.length > 0) return;
    throw failure(
      'MPROXY_LISTEN',
      'listening',
      this.address.text,
      'none of its answers is an address of this host',
    );
  }

  /** Whether it can give descriptors away: with `held`, on some engines. */
  get gives(): boolean {
    return this.#listeners.every(({ accept }) => accept !== undefined);
  }

  /** Begins to accept. @param take if given, takes the descriptors of admitted connections; only if it {@link gives} them */
  accept(take?: TakeDescriptor): void {
    for (const listener of this.#listeners) listener.accept?.(take);
  }

  /** Uses the current certificates for new connections. */
  reload(): void {
    const { identities } = this.options;
    if (identities) for (const listener of this.#listeners) listener.secure(identities.tls);
  }

  /** Stops accepting connections. */
  close(): void {
    for (const listener of this.#listeners) listener.close();
  }

  closeConnections(): void {
    for (const listener of this.#listeners) listener.closeConnections();
  }

  #listen(at: SocketAddress & { ipv6Only: boolean }): Promise<StreamListener> {
    const { identities, held = false, notices, accepted } = this.options;
    return this.program.streams.listen({
      ...{ at, held },
      ...(identities && { tls: identities.tls }),
      admit: (peer, scarce) => this.#admit(peer?.address, scarce),
      onConnection: (connection) => accepted(connection, peerOf(connection)),
      onHandshakeError: (error) =>
        notices.emit(HANDSHAKE_FAILED, { listener: this.#name, reason: reason(error) }),
      onAcceptError: (error) => notices.emit(ACCEPT_FAILED, { listener: this.#name, reason: reason(error) }),
    });
  }

  #admit(address: string | undefined, scarce: number | undefined): boolean {
    const peer = address?.replace(/%.*/, '');
    const refusal = this.#refusal(peer, scarce);
    if (!refusal) return true;
    this.options.refused();
    const event = { listener: this.#name, peer: peer ?? 'a client', ...refusal };
    this.options.notices.emit(CONNECTION_REFUSED, event);
    return false;
  }

  /** What refuses a connection, and why; undefined: it is admitted. */
  #refusal(peer: string | undefined, scarce: number | undefined): { by: string; reason: string } | undefined {
    const { allow, most, mostFlag, given } = this.options;
    if (allow && !(peer && allow.check(peer, isIPv4(peer) ? 'ipv4' : 'ipv6')))
      return { by: ALLOW_NAME, reason: `${ALLOW_NAME} does not name it` };
    const size = this.#listeners.reduce((sum, { connections }) => sum + connections, given?.() ?? 0);
    if (size >= most) return { by: mostFlag, reason: `there are ${size} already (${mostFlag})` };
    if (scarce === undefined) return undefined;
    return {
      by: 'descriptors',
      reason: `this process has its last descriptors of ${scarce}; raise the limit (ulimit -n, LimitNOFILE=)`,
    };
  }

  get #name(): string {
    return this.address.text;
  }
}

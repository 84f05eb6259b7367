import { throwInternal } from 'mproxy-base';
import type { ListenOptions } from '../../streams.js';
import type { SecureChannel } from './channel.js';
import { type Closable, type ConnectionFacts, StreamConnection } from './connection.js';
import { Handshake, type HandshakeOutcome } from './handshake.js';
import type { StreamParts } from './parts.js';
import { PlainChannel } from './plain-channel.js';

/** Limit on a TLS handshake, in milliseconds. */
const HANDSHAKE_MS = 10_000;
/** How long a refused peer has for reading why, in milliseconds. */
const REFUSED_MS = 1000;

const IGNORING = { onData: () => undefined, onEnd: () => undefined, onClose: () => undefined };

/** An accepted connection in its TLS handshake. It is among the connections of its listener, or what it becomes is. */
export class Securing implements Closable, HandshakeOutcome {
  readonly #handshake: Handshake;

  /** @param fd it is taken, unless this throws @throws the system's error (epoll_ctl(2)) */
  constructor(
    private readonly parts: StreamParts,
    private readonly fd: number,
    private readonly channel: SecureChannel,
    private readonly facts: ConnectionFacts,
    private readonly siblings: Set<Closable>,
    private readonly options: Pick<ListenOptions, 'onConnection' | 'onHandshakeError'>,
  ) {
    this.#handshake = new Handshake(parts, fd, channel, { timeout: HANDSHAKE_MS }, this);
    siblings.add(this);
  }

  close(): void {
    this.#handshake.cancel(undefined);
  }

  onSecured(): void {
    this.siblings.delete(this);
    const connection = this.#connection();
    if (connection) this.options.onConnection(connection);
  }

  /** @param error undefined: this side closed it */
  onError(error: unknown): void {
    this.siblings.delete(this);
    this.channel.free();
    if (error === undefined) this.parts.libc.close(this.fd);
    else {
      this.#refuse();
      this.options.onHandshakeError?.(error as Error, this.facts.peer);
    }
  }

  #connection(): StreamConnection | undefined {
    try {
      const facts = { ...this.facts, tls: this.channel.facts };
      return new StreamConnection(this.parts, this.fd, this.channel, facts, this.siblings);
    } catch (error) {
      throwInternal(error);
      this.onError(error);
      return undefined;
    }
  }

  /** Closed with unread bytes, it would be reset, which discards the alert that tells the peer why (RFC 9293, section 3.6.1). */
  #refuse(): void {
    const { parts, fd, facts } = this;
    try {
      const refused = new StreamConnection(parts, fd, new PlainChannel(parts.libc, fd), facts, this.siblings);
      refused.start(IGNORING);
      refused.linger(REFUSED_MS);
    } catch (error) {
      throwInternal(error);
      parts.libc.close(fd);
    }
  }
}

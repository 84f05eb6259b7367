import { throwInternal } from 'mproxy-base';
import { HANDSHAKE_MS } from '../../stream-defaults.js';
import type { ListenOptions } from '../../streams.js';
import type { SecureChannel } from './channel.js';
import { type ConnectionFacts, StreamConnection } from './connection.js';
import { Handshake, type HandshakeOutcome } from './handshake.js';
import type { StreamParts } from './parts.js';
import type { Closable, Siblings } from './place.js';
import { PlainChannel } from './plain-channel.js';
import { PreambleReading } from './preamble-reading.js';

/**
 * How long a refused peer has for reading why, in milliseconds: a round trip across the earth, in which the alert arrives, and so does all
 * that was sent before it. The peer counts as a connection meanwhile, so no longer.
 */
const REFUSED_MS = 300;

export interface SecuringOptions
  extends Pick<ListenOptions, 'preamble' | 'handshakeTimeout' | 'onHandshakeError'> {
  onConnection(connection: StreamConnection): void;
  /** The descriptor of what did not become a connection is closed; after `onHandshakeError`, if that is called. Called once, last. */
  onClosed?(): void;
}

/** An accepted connection in its preamble, or its TLS handshake. It is among the connections of its listener, or what it becomes is. */
export class Securing implements Closable, HandshakeOutcome {
  /** Called once when the handshake has ended, see {@link ListenOptions.admit}. */
  onEnded: (() => void) | undefined;
  readonly #handshake: Handshake;
  readonly #preamble: PreambleReading | undefined;

  /** @param fd it is taken, unless this throws @throws the system's error (epoll_ctl(2)) */
  constructor(
    private readonly parts: StreamParts,
    private readonly fd: number,
    private readonly channel: SecureChannel | PlainChannel,
    private readonly facts: ConnectionFacts,
    private readonly siblings: Siblings,
    private readonly options: SecuringOptions,
  ) {
    const { preamble, handshakeTimeout: timeout = HANDSHAKE_MS } = options;
    const secure = secureOf(channel);
    this.#preamble = preamble && new PreambleReading(parts, fd, preamble, secure);
    const late = () => (preamble && !this.#preamble?.preamble ? 'the preamble' : 'the TLS handshake');
    this.#handshake = new Handshake(parts, fd, (this.#preamble ?? secure)!, { timeout, late }, this);
    siblings.add(this);
  }

  close(): void {
    this.#handshake.cancel(undefined);
  }

  onSecured(): void {
    this.siblings.delete(this);
    this.#ended();
    const connection = this.#connection();
    if (connection) this.options.onConnection(connection);
  }

  /** @param error undefined: this side closed it */
  onError(error: unknown): void {
    this.siblings.delete(this);
    this.#ended();
    this.channel.free();
    if (error === undefined) this.#close();
    else {
      this.options.onHandshakeError?.(error as Error, this.facts.peer);
      this.#refuse();
    }
  }

  #ended(): void {
    const { onEnded } = this;
    this.onEnded = undefined;
    onEnded?.();
  }

  #close(): void {
    this.parts.libc.close(this.fd);
    this.options.onClosed?.();
  }

  #connection(): StreamConnection | undefined {
    try {
      const tls = secureOf(this.channel)?.facts;
      const preamble = this.#preamble?.preamble;
      const { peer, local } = this.facts;
      const facts = { peer, local, tls, preamble };
      return new StreamConnection(this.parts, this.fd, this.channel, facts, this.siblings);
    } catch (error) {
      throwInternal(error);
      this.onError(error);
      return undefined;
    }
  }

  /** Closed with unread bytes, it would be reset, which discards the alert that tells the peer why (RFC 9293, section 3.6.1). */
  #refuse(): void {
    const { parts, fd, facts, options } = this;
    const onClose = () => options.onClosed?.();
    try {
      const refused = new StreamConnection(parts, fd, new PlainChannel(parts.libc, fd), facts, this.siblings);
      refused.start({ onData: () => undefined, onEnd: () => undefined, onClose });
      refused.linger(REFUSED_MS);
    } catch (error) {
      throwInternal(error);
      this.#close();
    }
  }
}

function secureOf(channel: SecureChannel | PlainChannel): SecureChannel | undefined {
  return channel instanceof PlainChannel ? undefined : channel;
}

import type { SocketAddress } from 'mproxy-base';
import type { TlsFacts } from 'mproxy-net';
import type { Connections } from './connections.js';

let keys = 0;

/** A key of an extension, and its type. */
export class ExtensionKey<T> {
  declare readonly type: T;
  /** Its place among the extensions of a context. */
  readonly index = keys++;

  constructor(readonly name: string) {}
}

export type ContextFacts = Pick<Context, 'peer' | 'local' | 'tls' | 'listener'> &
  Partial<Pick<Context, 'connections'>>;

/** What is known of a connection, and of what happens on it: the same for all of its requests. */
export class Context {
  /** The peer; of a PROXY protocol header, the address that it gives. Undefined: a Unix socket. */
  peer: SocketAddress | undefined;
  /** This end; of a PROXY protocol header, the address that the peer connected to. */
  local: SocketAddress | undefined;
  readonly tls: TlsFacts | undefined;
  /** The listener's name, as its notice has it: `127.0.0.1:8000`, `unix:/path`. */
  readonly listener: string;
  /** The connections that it is one of. */
  readonly connections: Connections | undefined;
  #extensions: unknown[] | undefined;
  #aborted: Error | undefined;
  /** Nearly always there is one. */
  #onAbort: ((error: Error) => void) | undefined;
  #othersOnAbort: ((error: Error) => void)[] | undefined;
  #controller: AbortController | undefined;

  constructor(facts: ContextFacts) {
    this.peer = facts.peer;
    this.local = facts.local;
    this.tls = facts.tls;
    this.listener = facts.listener;
    this.connections = facts.connections;
  }

  /** What a layer has left for those within it. */
  get<T>(key: ExtensionKey<T>): T | undefined {
    return this.#extensions?.[key.index] as T | undefined;
  }

  set<T>(key: ExtensionKey<T>, value: T): void {
    this.#extensions ??= new Array(keys).fill(undefined);
    this.#extensions[key.index] = value;
  }

  /** Why nobody waits for the output any more; undefined: it is waited for. */
  get aborted(): Error | undefined {
    return this.#aborted;
  }

  /** Calls back once when nobody waits for the output any more; at once if that is so already. */
  onAbort(listener: (error: Error) => void): void {
    if (this.#aborted) listener(this.#aborted);
    else if (!this.#onAbort) this.#onAbort = listener;
    else {
      this.#othersOnAbort ??= [];
      this.#othersOnAbort.push(listener);
    }
  }

  /** The same as a signal, for fetch and its like. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      const controller = new AbortController();
      this.#controller = controller;
      this.onAbort((error) => controller.abort(error));
    }
    return this.#controller.signal;
  }

  /** For the server alone. */
  abort(error: Error): void {
    if (this.#aborted) return;
    this.#aborted = error;
    this.#onAbort?.(error);
    const others = this.#othersOnAbort;
    if (others) for (const listener of others) listener(error);
  }
}

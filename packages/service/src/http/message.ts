import { Fields } from 'mproxy-http/fields';
import { Context, type ExtensionKey } from '../context.js';
import type { Layer, Service } from '../service.js';
import { type Body, BytesBody } from './body.js';

export type HttpVersion = '1.0' | '1.1' | '2';

/** What a client asks to go on with instead of HTTP (RFC 9110, section 7.8). */
export interface Upgrade {
  /** In lower case: `websocket`. */
  readonly protocol: string;
  /** What the client sends once it was answered with 101, until it ends. */
  readonly body: Body;
}

/** A request. Layers change it in place, before they pass it on. */
export class HttpRequest {
  constructor(
    /** As it was sent: methods are case-sensitive (RFC 9110, section 9.1). */
    public method: string,
    public readonly version: HttpVersion,
    public readonly scheme: 'http' | 'https',
    /** Host and port as the client gave them: the Host field, or the authority of an absolute-form target. */
    public authority: string,
    /** Its host: lower case, no port, no trailing dot; IPv6 addresses in brackets. What routes are selected by. */
    public readonly host: string,
    /** The normalised path, or `*`. */
    public path: string,
    /** With its `?`; '': none. */
    public query: string,
    /**
     * Without Host, Connection and the fields that it names, and the other hop-by-hop fields (RFC 9110, section 7.6.1); Content-Length and
     * Transfer-Encoding are in {@link body}. `te: trailers` is kept.
     */
    public readonly fields: Fields,
    /** Undefined: it has none. */
    public body: Body | undefined,
    /**
     * The client waits for a 100 (Expect: 100-continue), or for a final response. The field is among {@link fields}. The server sends it
     * a 100 when the body is started, unless {@link HttpContext.inform} did, or the body comes already.
     */
    public readonly expectsContinue: boolean,
    /** Given if the client asks for a protocol that the server switches to; the field Upgrade is not among {@link fields}. */
    public readonly upgrade: Upgrade | undefined = undefined,
  ) {}

  /** Whether it may be sent twice: its method is idempotent (RFC 9110, section 9.2.2), and no other protocol would begin twice. */
  get isIdempotent(): boolean {
    if (this.upgrade) return false;
    return this.method === 'GET' || IDEMPOTENT.has(this.method);
  }
}

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** A response. The server adds Date, Connection and what frames the body. */
export class HttpResponse {
  constructor(
    /**
     * 200 to 599; interim ones are sent by {@link HttpContext.inform}. Or 101, to a request with {@link HttpRequest.upgrade}: its body is
     * what the client is sent from then on, and its end ends that direction alone.
     */
    public status: number,
    /** Without hop-by-hop fields, Content-Length and Transfer-Encoding, except as an answer to HEAD and of 304. */
    public readonly fields: Fields,
    /** Undefined: none. It is never sent to HEAD, nor with 204 and 304. */
    public body: Body | undefined,
    /** Where it came from, for Via: 1.1 unless a peer said otherwise. */
    public readonly version: HttpVersion = '1.1',
  ) {}

  /** A response of the program's own. @param text in UTF-8, ends with a newline */
  static text(status: number, text: string, fields: Record<string, string> = {}): HttpResponse {
    const all = Fields.of({ 'content-type': 'text/plain; charset=utf-8', ...fields });
    return new HttpResponse(status, all, new BytesBody(Buffer.from(text)));
  }
}

/** What became of a request: known when its response has ended. */
export interface Outcome {
  /** What was sent; 499: the client left before; 0: nothing was sent. */
  status: number;
  /** Bytes of the bodies, without framing: received, and sent. */
  received: number;
  sent: number;
  /** Milliseconds since the request head was complete, until the response began (undefined: it did not), and until it ended. */
  firstByte: number | undefined;
  duration: number;
  /** What cut it; undefined: it is complete. One line, for the access log: `client left`, `response body timed out`. */
  cut: string | undefined;
}

/** What is known of one request besides its message. */
export class HttpContext extends Context {
  /** The client, by what trusted proxies say (see the layer `forward`); default: the peer's address. */
  client: string | undefined;
  /** For the access log: what was chosen, which upstream answered, and how often it was tried again. */
  route: string | undefined;
  upstream: string | undefined;
  retries = 0;
  #isDone = false;
  /** Nearly always there is one. */
  #onDone: ((outcome: Outcome) => void) | undefined;
  #othersOnDone: ((outcome: Outcome) => void)[] | undefined;

  constructor(
    /** What layers around the HTTP server left. */
    readonly connection: Context,
    private readonly informs: (status: number, fields: Fields) => void,
  ) {
    super(connection);
    this.client = connection.peer?.address;
  }

  override get<T>(key: ExtensionKey<T>): T | undefined {
    return super.get(key) ?? this.connection.get(key);
  }

  /** Sends an interim response (RFC 9110, section 15.2), not to clients of HTTP/1.0, nor once the response began. @param status 100 to 199, not 101 */
  inform(status: number, fields: Fields): void {
    if (!this.#isDone) this.informs(status, fields);
  }

  /** Calls back when the response has ended, was cut, or nobody waits for it. */
  onDone(listener: (outcome: Outcome) => void): void {
    if (!this.#onDone) this.#onDone = listener;
    else {
      this.#othersOnDone ??= [];
      this.#othersOnDone.push(listener);
    }
  }

  /** For the server alone. */
  done(outcome: Outcome): void {
    this.#isDone = true;
    this.#onDone?.(outcome);
    const others = this.#othersOnDone;
    if (others) for (const listener of others) listener(outcome);
  }
}

export type HttpService = Service<HttpRequest, HttpResponse, HttpContext>;
export type HttpLayer = Layer<HttpRequest, HttpResponse, HttpContext>;

import type { TlsFacts } from 'mproxy-net';
import { type Context, ExtensionKey } from '../context.js';
import { answer } from '../http/answer.js';
import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from '../http/message.js';
import { Wrapper } from '../http/wrapper.js';
import type { Result } from '../result.js';

/** What hosts may be asked for on a connection that was secured for another one. */
export interface Consistency {
  /** Another one: the answers may be others. */
  readonly generation: number;
  accepts(host: string, facts: TlsFacts): boolean;
}

/** The last host of a connection, and whether it is accepted there. */
interface LastHost {
  host: string;
  generation: number;
  isAccepted: boolean;
}

const LAST_HOST = new ExtensionKey<LastHost>('last host');

/** Answers requests for a host that does not belong to the server name of their connection with 421 (RFC 9110, section 15.5.20). */
export function misdirected(sites: Consistency): HttpLayer {
  return (inner) => new Misdirected(inner, sites);
}

class Misdirected extends Wrapper {
  constructor(
    inner: HttpService,
    private readonly sites: Consistency,
  ) {
    super(inner);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const { connection } = context;
    if (connection.tls && !this.#accepts(request.host, connection, connection.tls))
      return answer(request, 421, 'this connection is for another host');
    return this.inner.call(request, context);
  }

  #accepts(host: string, connection: Context, facts: TlsFacts): boolean {
    const { sites } = this;
    const { generation } = sites;
    const last = connection.get(LAST_HOST);
    if (last?.host === host && last.generation === generation) return last.isAccepted;
    const isAccepted = sites.accepts(host, facts);
    connection.set(LAST_HOST, { host, generation, isAccepted });
    return isAccepted;
  }
}

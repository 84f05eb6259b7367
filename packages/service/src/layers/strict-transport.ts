import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from '../http/message.js';
import { Wrapper } from '../http/wrapper.js';
import { mapResult, type Result } from '../result.js';

const NAME = 'strict-transport-security';

export interface StrictTransportOptions {
  /** In seconds. */
  maxAge: number;
  includeSubdomains?: boolean;
  /** Whether browsers may have the host in lists of their own. */
  preload?: boolean;
}

/** Sets Strict-Transport-Security (RFC 6797) in all responses over TLS, and in no others (section 7.2). */
export function strictTransport({ maxAge, includeSubdomains, preload }: StrictTransportOptions): HttpLayer {
  const more = `${includeSubdomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`;
  return (inner) => new StrictTransport(inner, `max-age=${maxAge}${more}`);
}

class StrictTransport extends Wrapper {
  constructor(
    inner: HttpService,
    private readonly value: string,
  ) {
    super(inner);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const result = this.inner.call(request, context);
    return context.tls ? mapResult(result, this.#set) : result;
  }

  readonly #set = (response: HttpResponse): HttpResponse => {
    response.fields.set(NAME, this.value);
    return response;
  };
}

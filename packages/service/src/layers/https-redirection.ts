import { answer } from '../http/answer.js';
import { ORIGIN } from '../http/forward-back.js';
import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from '../http/message.js';
import { Wrapper } from '../http/wrapper.js';
import type { Result } from '../result.js';

/**
 * Redirects requests without TLS to the same host and path by https: 308. A request is not redirected if a trusted proxy says that it came
 * by https (see the layer `forward`, which is outside of this one); it is refused if it has no host.
 * @param port where TLS is listened for; undefined: 443
 */
export function httpsRedirection(port: () => number | undefined): HttpLayer {
  return (inner) => new HttpsRedirection(inner, port);
}

class HttpsRedirection extends Wrapper {
  constructor(
    inner: HttpService,
    private readonly port: () => number | undefined,
  ) {
    super(inner);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const scheme = context.tls ? 'https' : (context.get(ORIGIN)?.scheme ?? 'http');
    if (scheme === 'https') return this.inner.call(request, context);
    const { host, path, query } = request;
    if (host === '') return answer(request, 400, 'a request by https needs a host');
    const port = this.port() ?? 443;
    const target = path === '*' ? '/' : path;
    const location = `https://${host}${port === 443 ? '' : `:${port}`}${target}${query}`;
    return answer(request, 308, `redirected to ${location}`, { location });
  }
}

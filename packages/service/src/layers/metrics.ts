import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, Outcome } from '../http/message.js';
import { mapResult, type Result } from '../result.js';

/** Takes what happens to requests, to count it. It must not throw. */
export interface RequestObserver {
  begun(request: HttpRequest, context: HttpContext): void;
  /** It is answered with 101: what follows is a tunnel, until {@link ended}. Called at most once. */
  switched?(request: HttpRequest, context: HttpContext): void;
  /** Its response has ended, was cut, or nobody waits for it. Called once for each that has begun. */
  ended(request: HttpRequest, context: HttpContext, outcome: Outcome): void;
}

/** Tells an observer of each request. As the outermost layer it sees the requests as they came, and all of them. */
export function metrics(observer: RequestObserver): HttpLayer {
  return (inner) => ({
    call(request, context) {
      observer.begun(request, context);
      context.onDone((outcome) => observer.ended(request, context, outcome));
      const result = inner.call(request, context);
      return request.upgrade && observer.switched ? watched(result, observer, request, context) : result;
    },
  });
}

function watched(
  result: Result<HttpResponse>,
  observer: RequestObserver,
  request: HttpRequest,
  context: HttpContext,
): Result<HttpResponse> {
  return mapResult(result, (response) => {
    // Of a request that has ended, nobody gets the response.
    if (response.status === 101 && !context.aborted) observer.switched!(request, context);
    return response;
  });
}

import type { HttpContext, HttpLayer, HttpRequest, Outcome } from '../http/message.js';

/** Takes what happens to requests, to count it. It must not throw. */
export interface RequestObserver {
  begun(request: HttpRequest, context: HttpContext): void;
  /** Its response has ended, was cut, or nobody waits for it. Called once for each that has begun. */
  ended(request: HttpRequest, context: HttpContext, outcome: Outcome): void;
}

/** Tells an observer of each request. As the outermost layer it sees the requests as they came, and all of them. */
export function metrics(observer: RequestObserver): HttpLayer {
  return (inner) => ({
    call(request, context) {
      observer.begun(request, context);
      context.onDone((outcome) => observer.ended(request, context, outcome));
      return inner.call(request, context);
    },
  });
}

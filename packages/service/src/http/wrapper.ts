import type { Result } from '../result.js';
import type { HttpContext, HttpRequest, HttpResponse, HttpService } from './message.js';

/** What a layer makes of a service: it is ready when that one is. */
export abstract class Wrapper implements HttpService {
  constructor(protected readonly inner: HttpService) {}

  get ready(): boolean {
    return this.inner.ready ?? true;
  }

  abstract call(request: HttpRequest, context: HttpContext): Result<HttpResponse>;
}

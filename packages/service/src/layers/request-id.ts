import { randomUUID } from 'node:crypto';
import { ExtensionKey } from '../context.js';
import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from '../http/message.js';
import { Wrapper } from '../http/wrapper.js';
import { mapResult, type Result } from '../result.js';
import { fieldName } from './field-keys.js';
import { layerType } from './layer-type.js';

/** The id of a request, for the access log and for services. */
export const REQUEST_ID = new ExtensionKey<string>('request id');

const FIELD = 'x-request-id';
/** What is kept of a trusted peer: it goes into logs. */
const VALID = /^[\w.~+/=:@-]{1,128}$/;

const KEYS = {
  field: fieldName({ default: 'X-Request-ID', help: 'the field of requests and responses that has it' }),
};

export const REQUEST_ID_LAYER = layerType({
  type: 'request_id',
  help: 'Gives each request an id: that which a trusted proxy gave it, else a random UUID. It is passed on, logged, and returned.',
  keys: KEYS,
  layer: ({ field }, { isTrusted }) => requestId({ field, isTrusted }),
});

export interface RequestIdOptions {
  /** Default: `x-request-id`. */
  field?: string;
  /** Whether the peer is a trusted proxy, whose id is kept. Default: none is. */
  isTrusted?(context: HttpContext): boolean;
}

/**
 * Gives each request an id: that of a trusted peer, if it is 1 to 128 letters, digits and `-._~+/=:@`, else a random UUID (RFC 9562, version
 * 4). It becomes a field of the request and of the response, and {@link REQUEST_ID} of the context.
 */
export function requestId({ field = FIELD, isTrusted = () => false }: RequestIdOptions = {}): HttpLayer {
  return (inner) => new RequestId(inner, field.toLowerCase(), isTrusted);
}

class RequestId extends Wrapper {
  constructor(
    inner: HttpService,
    private readonly field: string,
    private readonly isTrusted: (context: HttpContext) => boolean,
  ) {
    super(inner);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    const { field } = this;
    const given = this.isTrusted(context) ? request.fields.get(field) : undefined;
    const id = given !== undefined && VALID.test(given) ? given : randomUUID();
    request.fields.deleteSpellings(field);
    request.fields.append(field, id);
    context.set(REQUEST_ID, id);
    return mapResult(this.inner.call(request, context), (response) => {
      response.fields.set(field, id);
      return response;
    });
  }
}

import { Fields } from 'mproxy-http/fields';
import type { HttpContext, HttpLayer, HttpRequest, HttpResponse, HttpService } from '../http/message.js';
import { Wrapper } from '../http/wrapper.js';
import { mapResult, type Result } from '../result.js';
import { fieldChanges } from './field-keys.js';
import { layerType } from './layer-type.js';

/** Changes of fields: what is removed, then what is set, then what is added. */
export interface FieldChanges {
  remove?: readonly string[] | undefined;
  set?: Readonly<Record<string, string>> | undefined;
  add?: Readonly<Record<string, string>> | undefined;
}

const KEYS = {
  request: fieldChanges({ help: 'changes of the fields of requests, before they are passed on' }),
  response: fieldChanges({ help: 'changes of the fields of responses' }),
};

export const HEADERS = layerType({
  type: 'headers',
  help: 'Changes the fields of requests and responses. What is removed from a request, or set in it, is removed also where `-` is spelt `_`.',
  keys: KEYS,
  layer: (values) => headers(values),
});

export interface HeadersOptions {
  request?: FieldChanges | undefined;
  response?: FieldChanges | undefined;
}

/** Changes the fields of requests and responses. @throws RangeError a name or value that no field may have */
export function headers({ request, response }: HeadersOptions): HttpLayer {
  const changes = [request && new Changes(request), response && new Changes(response)] as const;
  return (inner) => new Headers(inner, ...changes);
}

class Headers extends Wrapper {
  constructor(
    inner: HttpService,
    private readonly request: Changes | undefined,
    private readonly response: Changes | undefined,
  ) {
    super(inner);
  }

  override call(request: HttpRequest, context: HttpContext): Result<HttpResponse> {
    this.request?.applyToRequest(request.fields);
    const result = this.inner.call(request, context);
    return this.response ? mapResult(result, this.#change) : result;
  }

  readonly #change = (response: HttpResponse): HttpResponse => {
    this.response!.apply(response.fields);
    return response;
  };
}

class Changes {
  readonly #remove: readonly string[];
  readonly #set: readonly [string, string][];
  readonly #add: readonly [string, string][];

  constructor({ remove = [], set = {}, add = {} }: FieldChanges) {
    this.#remove = remove;
    this.#set = Object.entries(set);
    this.#add = Object.entries(add);
    // What is wrong is found at the start, not at the first message.
    Fields.of([...this.#set, ...this.#add]);
  }

  /** What is removed or set must not come from the client under the spelling that CGI and its like take for the same name. */
  applyToRequest(fields: Fields): void {
    for (const name of this.#remove) fields.deleteSpellings(name);
    for (const [name] of this.#set) fields.deleteSpellings(name);
    this.apply(fields);
  }

  apply(fields: Fields): void {
    for (const name of this.#remove) fields.delete(name);
    for (const [name, value] of this.#set) fields.set(name, value);
    for (const [name, value] of this.#add) fields.append(name, value);
  }
}

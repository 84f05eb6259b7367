import type { RequestHead } from 'mproxy-http';
import { parseTokens } from 'mproxy-http/field-rules';
import { HttpRequest, type Upgrade } from './message.js';
import { RequestBody, type RequestBodyOwner } from './request-body.js';
import type { HttpLimits, ServerParts } from './server-options.js';

/** The body of a request; undefined: it has none. */
export function bodyOf(
  { chunked, contentLength }: RequestHead,
  owner: RequestBodyOwner,
  limits: HttpLimits,
): RequestBody | undefined {
  return chunked || contentLength ? new RequestBody(owner, contentLength, limits) : undefined;
}

/** The protocol that a client asks for, if it is one of the server's: by GET, and without a body, as RFC 6455, section 4.1, has it. */
export function protocolOf({ method, upgrade }: RequestHead, upgrades: ServerParts['upgrades']) {
  if (upgrade === undefined || method !== 'GET') return undefined;
  return parseTokens(upgrade)?.find((one) => upgrades.has(one));
}

/** What comes behind a request for another protocol: without an end of its own, and without limits. */
export function endlessBody(owner: RequestBodyOwner, limits: HttpLimits): RequestBody {
  const endless = Number.POSITIVE_INFINITY;
  return new RequestBody(owner, endless, { ...limits, body: endless });
}

/** @param scheme of the connection: that of an absolute-form target anybody can claim */
export function requestOf(
  head: RequestHead,
  scheme: 'http' | 'https',
  body: RequestBody | undefined,
  upgrade: Upgrade | undefined,
): HttpRequest {
  return new HttpRequest(
    head.method,
    head.version,
    scheme,
    head.authority,
    head.host,
    head.path,
    head.query,
    head.fields,
    body,
    head.expectsContinue,
    upgrade,
  );
}

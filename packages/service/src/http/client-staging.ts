import { Prefixes } from 'mproxy-base';
import { KNOWN } from 'mproxy-http/known-names';
import { writeRequestHead } from 'mproxy-http/write-head';
import type { HttpRequest } from './message.js';

/** Requests are put together here, so that head and body are sent by one call. In use during a call, and no longer. */
export const staging = Buffer.allocUnsafeSlow(64 * 1024);
const views = new Prefixes(staging);

const TE = 1 << KNOWN.te;
/** Methods whose request has a length even without a body (RFC 9110, section 8.6). */
const WITH_LENGTH = new Set(['POST', 'PUT', 'PATCH']);

/** The first bytes of {@link staging}. */
export function staged(length: number): Buffer {
  return views.of(length);
}

/**
 * The head of a request, in {@link staging} unless it is longer.
 * @param host the value of Host
 * @param before sent before it on the connection
 */
export function writeHead(request: HttpRequest, host: string, before: Uint8Array | undefined): Buffer {
  const { length = 0 } = before ?? {};
  if (request.upgrade) request.fields.set('upgrade', request.upgrade.protocol);
  if (before) staging.set(before);
  const end = write(staging, length, request, host);
  if (end >= 0) return staged(end);
  const { method, path, query, fields } = request;
  const size = method.length + path.length + query.length + host.length + fields.size;
  const head = Buffer.allocUnsafe(length + size + 1024);
  if (before) head.set(before);
  return head.subarray(0, write(head, length, request, host));
}

function write(target: Buffer, at: number, request: HttpRequest, host: string): number {
  const { method, path, query, fields, body, upgrade } = request;
  const framing = body ? (body.length ?? 'chunked') : WITH_LENGTH.has(method) ? 0 : undefined;
  // They are hop-by-hop: Connection names them (RFC 9110, sections 7.8, 10.1.4).
  const te = (fields.known & TE) !== 0 ? 'te' : undefined;
  const connection = upgrade ? (te ? 'upgrade, te' : 'upgrade') : te;
  return writeRequestHead(target, at, method, path, query, host, fields, framing, connection);
}

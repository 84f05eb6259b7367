import { ProtocolError, printable } from './protocol-error.js';

/** Servers that one INFO may name; the others are ignored. */
const MAX_URLS = 256;
/** Default of `max_payload`, in bytes (nats-server). */
export const MAX_PAYLOAD = 1024 * 1024;

/** A server by its host and port. */
export interface ServerAddress {
  host: string;
  port: number;
}

/** What a server says of itself. */
export interface ServerInfo {
  /** Its identity, new with each start, and the name of its cluster; empty: unknown, or none. */
  id: string;
  cluster: string;
  name: string;
  version: string;
  /** The largest message that it accepts, in bytes. */
  maxPayload: number;
  tlsRequired: boolean;
  tlsAvailable: boolean;
  headers: boolean;
  /** To be signed by a client that has a key; empty: it wants none. */
  nonce: string;
  /** Other servers of its cluster that take clients. */
  urls: ServerAddress[];
  /** Lame duck mode: it will close its connections. */
  lameDuck: boolean;
}

/** Reads the JSON of INFO (docs.nats.io, reference: client protocol). @throws ProtocolError */
export function parseInfo(json: string): ServerInfo {
  const fields = parseObject(json);
  const text = (name: string) => (typeof fields[name] === 'string' ? fields[name] : '');
  const flag = (name: string) => fields[name] === true;
  const { max_payload: maxPayload = MAX_PAYLOAD, connect_urls: urls } = fields;
  if (!Number.isSafeInteger(maxPayload) || (maxPayload as number) <= 0)
    throw new ProtocolError('INFO with a max_payload that is not a size');
  return {
    id: text('server_id'),
    cluster: text('cluster'),
    name: printable(text('server_name')),
    version: printable(text('version')),
    maxPayload: maxPayload as number,
    tlsRequired: flag('tls_required') || flag('tls_verify'),
    tlsAvailable: flag('tls_available'),
    headers: flag('headers'),
    nonce: text('nonce'),
    urls: Array.isArray(urls) ? urls.slice(0, MAX_URLS).flatMap(serverOf) : [],
    lameDuck: flag('ldm'),
  };
}

function parseObject(json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new ProtocolError('INFO that is not JSON');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new ProtocolError('INFO that is not a JSON object');
}

/** `10.0.0.1:4222`, `[2001:db8::1]:4222`, `host:4222`; what is not such an address is ignored. */
function serverOf(url: unknown): ServerAddress[] {
  const [, bracketed, plain, digits] =
    /^(?:\[([\da-f:.]{2,45})\]|([\w.-]{1,253})):(\d{1,5})$/i.exec(String(url)) ?? [];
  const port = Number(digits);
  return port >= 1 && port <= 65_535 ? [{ host: (bracketed ?? plain!).toLowerCase(), port }] : [];
}

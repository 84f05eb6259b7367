import { ExtensionKey } from '../context.js';
import type { HttpContext, HttpRequest, HttpResponse } from './message.js';
import { PATH_MAPPING, type PathMapping } from './path-mapping.js';

/** How the client addresses what it asks for, where trusted proxies say something else than the request itself. */
export interface Origin {
  scheme: 'http' | 'https';
  authority: string;
}

export const ORIGIN = new ExtensionKey<Origin>('origin');

const ABSOLUTE = /^(?:(https?):)?\/\/([^/?#]*)(.*)$/is;

/**
 * Maps what an upstream says of itself back to what the client knows: in Location the upstream's authority, and the prefix of a path that
 * was changed on the way; in Set-Cookie the same in Domain and Path. Other hosts stay as they are, and so do paths that have the client's
 * prefix already, as of an upstream that reads X-Forwarded-Prefix.
 *
 * @param authority the upstream's
 */
export function mapBack(
  { fields }: HttpResponse,
  request: HttpRequest,
  context: HttpContext,
  authority: string,
): void {
  const origin = context.get(ORIGIN) ?? request;
  const paths = context.get(PATH_MAPPING);
  const location = fields.get('location');
  if (location !== undefined) {
    const mapped = mapLocation(location, authority, origin, paths);
    if (mapped !== location) fields.set('location', mapped);
  }
  const cookies = fields.values('set-cookie');
  const mapped = cookies.map((cookie) =>
    mapCookie(cookie, hostOf(authority), hostOf(origin.authority), paths),
  );
  if (cookies.every((cookie, i) => cookie === mapped[i])) return;
  fields.delete('set-cookie');
  for (const cookie of mapped) fields.append('set-cookie', cookie);
}

function mapLocation(
  location: string,
  authority: string,
  origin: Origin,
  paths: PathMapping | undefined,
): string {
  const absolute = ABSOLUTE.exec(location);
  if (!absolute) return location.startsWith('/') ? mapPath(location, paths) : location;
  const [, scheme, host = '', rest = ''] = absolute;
  const port = scheme?.toLowerCase() === 'https' ? ':443' : ':80';
  const isUpstreams = isSame(host, authority, port);
  if (!isUpstreams && !isSame(host, origin.authority, port)) return location;
  const path = mapPath(rest.startsWith('/') ? rest : `/${rest}`, paths);
  if (isUpstreams && origin.authority !== '') return `${origin.scheme}://${origin.authority}${path}`;
  return rest === '' && path === '/' ? location : location.slice(0, location.length - rest.length) + path;
}

/** @param path with its query and fragment */
function mapPath(path: string, paths: PathMapping | undefined): string {
  if (!paths) return path;
  const { outer, inner } = paths;
  // It is the client's already.
  if (outer.length > inner.length && begins(path, outer)) return path;
  if (!begins(path, inner)) return path;
  const mapped = outer + path.slice(inner.length);
  return mapped.startsWith('/') ? mapped : `/${mapped}`;
}

/** Whether a path begins with a prefix that ends at the end of a segment. */
function begins(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || '/?#'.includes(path[prefix.length]!));
}

/** The attributes of a cookie, RFC 6265, section 5.2. */
function mapCookie(cookie: string, upstream: string, client: string, paths: PathMapping | undefined): string {
  const [pair, ...attributes] = cookie.split(';');
  const mapped = attributes.map((attribute) => {
    const [, before = '', name = '', rest = ''] =
      /^([ \t]*(domain|path)[ \t]*=[ \t]*)(.*)$/is.exec(attribute) ?? [];
    const value = rest.trimEnd();
    if (
      name.toLowerCase() === 'domain' &&
      value.replace(/^\./, '').toLowerCase() === upstream &&
      client !== ''
    )
      return before + client;
    if (name.toLowerCase() !== 'path' || !value.startsWith('/')) return attribute;
    const path = mapPath(value, paths);
    // The path of a cookie that ends with a slash does not match itself without it.
    return value === '/' && path !== value ? before + path.replace(/\/$/, '') : before + path;
  });
  return [pair, ...mapped].join(';');
}

/** Without the port. */
function hostOf(authority: string): string {
  return authority.replace(/:\d*$/, '').toLowerCase();
}

/** @param port the default one, which may be left out */
function isSame(one: string, other: string, port: string): boolean {
  const bare = (authority: string) => {
    const lower = authority.toLowerCase();
    return lower.endsWith(port) ? lower.slice(0, -port.length) : lower;
  };
  return bare(one) === bare(other);
}

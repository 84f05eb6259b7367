import type { Target } from '../tcp-connector.js';

/** What the URL of an upstream says. */
export interface UpstreamAddress {
  target: Target;
  /** Host and port, as in Host. */
  authority: string;
  /** `http://127.0.0.1:3000`, `https://api.example.com`, `unix:/path`. */
  name: string;
  /** Whether it speaks TLS. */
  isSecure: boolean;
}

/** @throws a RangeError that says what is wrong */
export function parseUpstream(url: string | URL): UpstreamAddress {
  const text = String(url);
  if (!URL.canParse(text)) throw new RangeError(`${text}: not a URL`);
  const { protocol, hostname, port, host, pathname, search, hash, username, password } = new URL(text);
  if (search || hash || username || password)
    throw new RangeError(`${text}: more than a scheme, host and port`);
  if (protocol === 'unix:') {
    const path = decodeURIComponent(pathname);
    if (!path.startsWith('/') || host) throw new RangeError(`${text}: not unix: with an absolute path`);
    return { target: { path }, authority: 'localhost', name: `unix:${path}`, isSecure: false };
  }
  const isSecure = protocol === 'https:';
  if (!isSecure && protocol !== 'http:') throw new RangeError(`${text}: not an http, https or unix URL`);
  if (pathname !== '/') throw new RangeError(`${text}: a path`);
  const bare = hostname.replace(/^\[|\]$/g, '');
  const target = { host: bare, port: port === '' ? (isSecure ? 443 : 80) : Number(port) };
  return { target, authority: host, name: `${protocol}//${host}`, isSecure };
}

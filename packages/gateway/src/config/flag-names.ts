/** Flags whose names are not those of keys: the keys that say the same. */
const KEYS: Record<string, string> = {
  workers: 'thread_count',
  listen_addr: 'listen',
  route: 'routes',
  trust: 'trusted_proxies',
  ...{ tls_cert: 'certificates', tls_key: 'certificates', tls_client_ca: 'certificates' },
  allow_target: 'port_encoding',
  ...{ log_format: 'access_log', rotate_size: 'access_log', rotate_every: 'access_log' },
  ...{ keep: 'access_log', gzip: 'access_log' },
};

/** Flags that no key stands for. */
const ALONE = new Set([
  ...['status_addr', 'status_allow', 'status_peer', 'health_idle'],
  ...['stats', 'log', 'quiet', 'config', 'check'],
]);

/** What to do instead, if an unknown key has the name of a flag; else ''. */
export function flagHint(name: string): string {
  if (Object.hasOwn(KEYS, name)) return `; give ${KEYS[name]}`;
  return ALONE.has(name) ? `; it is a flag alone: --${name.replaceAll('_', '-')}` : '';
}

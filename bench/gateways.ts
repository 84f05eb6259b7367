import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, type Contestant, HOST, type Place } from './contestant.js';
import type { Load } from './loads.js';
import { CERTIFICATE, native, onPath, ROOT } from './native.js';

/** More than there are connections, so that no connection to the origin is closed for being idle. */
const KEPT = 4096;
const MOST_CONNECTIONS = 16_384;
const NODE = 'mproxy, engine node';

/** Reverse proxies, each with one worker, no access log, and X-Forwarded-For and X-Forwarded-Proto at the least. */
export function gateways(): Contestant[] {
  // As the npm package has it.
  const command = join(ROOT, 'packages/gateway/bundle/cli.js');
  const ours = (...flags: string[]) => {
    return (place: Place, { tls }: Load) => ({
      argv: [process.execPath, command, ...route(place, tls), ...flags],
    });
  };
  const found: [string, Contestant['kind'], (place: Place, load: Load) => Command][] = [
    ['mproxy', 'ours', ours()],
    [NODE, 'node', ours('--engine', 'node')],
    ['bare C loop', 'loop', (place) => ({ argv: [native('loop-http'), `${place.in}`, `${place.out}`] })],
  ];
  if (onPath('nginx')) found.push(['nginx', 'peer', nginx]);
  if (onPath('haproxy')) found.push(['haproxy', 'peer', haproxy]);
  if (onPath('caddy')) found.push(['caddy', 'peer', caddy]);
  if (httpProxyVersion() !== undefined) found.push(['http-proxy', 'peer', httpProxy]);
  return found.map(([name, kind, command]) => ({
    name,
    kind,
    command: (load, place) => (takes(name, load) ? command(place, load) : undefined),
  }));
}

/** Those that terminate TLS with the bench's certificate take part in its loads; for WebSocket the loop and http-proxy have no code. */
function takes(name: string, { role, tls, mode }: Load): boolean {
  if (role !== 'gateway' && role !== 'start') return false;
  if (mode === 'echo') return name !== 'bare C loop' && name !== 'http-proxy';
  // It gives no ticket to those that resume (Node has OpenSSL's own), so that they can resume once.
  if (mode === 'resumed' && name === NODE) return false;
  return !tls || name.startsWith('mproxy') || name === 'nginx' || name === 'haproxy';
}

/** The version of npm's http-proxy in NODE_PATH; undefined if it is not there. */
export function httpProxyVersion(): string | undefined {
  try {
    return createRequire(import.meta.url)('http-proxy/package.json').version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

function route(place: Place, tls: boolean): string[] {
  const to = `/=http://${HOST}:${place.out}`;
  return [
    '--listen-addr',
    `${tls ? 'tls://' : ''}${HOST}:${place.in}`,
    '--route',
    to,
    '--workers',
    '1',
    '--quiet',
    ...(tls ? ['--tls-cert', CERTIFICATE.cert, '--tls-key', CERTIFICATE.key] : []),
  ];
}

/** Buffers are large enough to write no body to a file; counters are always on (ngx_http_stub_status_module). */
function nginx({ in: port, out, file }: Place, { tls, mode }: Load): Command {
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${file}-${name};`,
  );
  const config = `worker_processes 1;
daemon off;
pid ${file}.pid;
error_log ${file}.log;
events { worker_connections ${MOST_CONNECTIONS}; }
http {
  access_log off;
  ${folders.join(' ')}
  keepalive_requests 1000000000;
  proxy_max_temp_file_size 0;
  proxy_buffers 16 64k;
  proxy_buffer_size 64k;
  upstream origin { server ${HOST}:${out}; keepalive ${KEPT}; keepalive_requests 1000000000; }
  server {
    listen ${HOST}:${port} reuseport${tls ? ' ssl' : ''};
    ${tls ? nginxTls() : ''}
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      ${mode === 'echo' ? NGINX_WEBSOCKET : 'proxy_set_header Connection "";'}
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`;
  return { argv: ['nginx', '-e', `${file}.log`, '-c', file], config };
}

const NGINX_WEBSOCKET = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

function nginxTls(): string {
  const { cert, key } = CERTIFICATE;
  return `ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_protocols TLSv1.3; ssl_session_tickets on;`;
}

function haproxy({ in: port, out, file }: Place, { tls }: Load): Command {
  const config = `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
  option forwardfor
  http-reuse always
frontend clients
  http-request set-header X-Forwarded-Proto ${tls ? 'https' : 'http'}
  bind ${HOST}:${port}${tls ? ` ssl crt ${CERTIFICATE.pair} ssl-min-ver TLSv1.3` : ''}
  default_backend origin
backend origin
  server origin ${HOST}:${out}
`;
  return { argv: ['haproxy', '-db', '-f', file], config };
}

function caddy({ in: port, out, file }: Place): Command {
  const config = `{
  admin off
  auto_https off
  servers {
    metrics
  }
}
http://${HOST}:${port} {
  reverse_proxy ${HOST}:${out} {
    transport http {
      keepalive_idle_conns_per_host ${KEPT}
    }
  }
}
`;
  const env = ['env', 'GOMAXPROCS=1', `HOME=${dirname(file)}`];
  return { argv: [...env, 'caddy', 'run', '--adapter', 'caddyfile', '--config', file], config };
}

function httpProxy(place: Place): Command {
  const program = fileURLToPath(new URL('./http-proxy.js', import.meta.url));
  return { argv: [process.execPath, program, `${place.in}`, `${place.out}`, `${KEPT}`] };
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { missing } from '../lan/tools.js';
import { type Running, startProgram } from '../support/command.js';
import { freeTcpPort } from '../support/net.js';
import { shortFolder } from '../support/short-folder.js';
import { until } from '../support/wait.js';

/** Why each of them cannot be used here; false where it can. For `skip`. */
export const noNginx: string | false = missing('nginx');
export const noCaddy: string | false = missing('caddy');
export const noHaproxy: string | false = missing('haproxy');

/** A web server or proxy on a port of 127.0.0.1, with a folder of its own. */
export interface Server {
  running: Running;
  port: number;
  url: string;
  folder: string;
}

/**
 * nginx, with these directives in its `server`, and in its `http`. Files are in `root`, its access log has a request line a line.
 * @param listen options of its listener
 */
export async function nginx(t: Test, directives: string, http = '', listen = ''): Promise<Server> {
  const { port, folder } = await place(t);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const text = `
    daemon off; master_process off; worker_rlimit_nofile 10000; pid nginx.pid; error_log stderr;
    events { worker_connections 5000; }
    http {
      ${temporary.map((name) => `${name}_temp_path ${name};`).join(' ')}
      log_format request '$request_uri $status'; access_log access.log request;
      default_type text/plain;
      ${http}
      server { listen 127.0.0.1:${port} ${listen}; root root; ${directives} }
    }`;
  writeFileSync(join(folder, 'nginx.conf'), text);
  const running = startProgram(t, 'nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr']);
  return opened({ running, port, folder });
}

/** Caddy, with these directives in its site (https://caddyserver.com/docs/caddyfile). Files are in `root`. @param scheme of its site */
export async function caddy(t: Test, directives: string, scheme = 'http'): Promise<Server> {
  const { port, folder } = await place(t);
  const text = `{
  admin off
  auto_https off
}
${scheme}://:${port} {
  bind 127.0.0.1
  root * ${folder}/root
${directives}
}
`;
  writeFileSync(join(folder, 'Caddyfile'), text);
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const args = ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')];
  return opened({ running: startProgram(t, 'caddy', args, { cwd: folder, env }), port, folder });
}

/** HAProxy that sends connections on to a server. @param mode tcp or http @param bind options of its listener */
export async function haproxy(t: Test, mode: string, server: string, more = '', bind = ''): Promise<Server> {
  const { port, folder } = await place(t);
  const text = `
global
  maxconn 1000
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout check 30s
  retries 0
listen front
  bind 127.0.0.1:${port} ${bind}
  ${more}
  server gateway ${server}
`;
  writeFileSync(join(folder, 'haproxy.cfg'), text);
  return opened({
    running: startProgram(t, 'haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]),
    port,
    folder,
  });
}

async function place(t: Test): Promise<{ port: number; folder: string }> {
  const folder = shortFolder(t);
  mkdirSync(join(folder, 'root'));
  return { port: await freeTcpPort(), folder };
}

async function opened(server: Omit<Server, 'url'>): Promise<Server> {
  const { running, port } = server;
  await until('it listens', async () => running.ended || (await isOpen(port)));
  if (running.ended) throw new Error(`it ended: ${running.stderr}`);
  return { ...server, url: `http://127.0.0.1:${port}` };
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

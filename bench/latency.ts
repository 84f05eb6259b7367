import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { buildNative, native } from './native.js';
import { freeTcpPort, isListening, until } from './ports.js';
import { Helper } from './program.js';

/**
 * latency [SECONDS] [ENGINE]: how late Node's own work is in a worker whose stream sockets are under full load, 64 connections that are
 * proxied at the highest rate; beside a worker of an idle process at the same time, which shows what the machine does.
 */
const seconds = Number(process.argv[2] ?? 20);
const engine = process.argv[3] ?? 'linux';

const CONNECTIONS = 64;
const SIZES = [100, 1_000_000];
const KINDS = ['fetch', 'setTimeout', 'setInterval', 'postMessage'];
const program = fileURLToPath(new URL('./latency-probe.js', import.meta.url));

buildNative();
const server = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
for (const size of SIZES) await measure(size);
server.close();

async function measure(size: number): Promise<void> {
  const [proxy, echo] = [await freeTcpPort(), await freeTcpPort()];
  const loaded = new Helper(process.execPath, program, url, seconds, engine, proxy, echo);
  await until('open socket', () => isListening(proxy));
  const load = new Helper(native('echo-load'), echo, proxy, CONNECTIONS, size, seconds + 3);
  const idle = new Helper(process.execPath, program, url, seconds);
  const findings = [
    ['loaded', await loaded.findings],
    ['idle', await idle.findings],
  ] as const;
  await load.findings;
  console.log(
    `${CONNECTIONS} connections, messages of ${size} bytes, ${engine}; ms, and those of them in which the thread was busy:`,
  );
  for (const kind of KINDS) {
    for (const [name, found] of findings) {
      const figures = ['', ' busy'].map((part) => {
        const [p50, p99, max] = ['p50', 'p99', 'max'].map((figure) =>
          found[`${kind}${part} ${figure}`]!.toFixed(2),
        );
        return `p50 ${p50} p99 ${p99} max ${max} beyond 5: ${found[`${kind}${part} late`]}`;
      });
      console.log(`${kind} ${name}: ${figures.join(' | busy ')} of ${found[`${kind} count`]}`);
    }
  }
}

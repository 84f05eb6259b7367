import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generate } from 'selfsigned';
import { buildNative, native } from './native.js';
import { freeTcpPort, isListening, until } from './ports.js';
import { Helper, killAll, Program } from './program.js';

/**
 * streams [PAIRS] [SECONDS]: a TCP proxy made of the interface to stream sockets, beside HAProxy in mode tcp: bytes a second of CPU, in
 * turns, and the median of the paired ratios; then the memory of an idle connection, with TLS and without.
 */
const pairs = Number(process.argv[2] ?? 9);
const seconds = Number(process.argv[3] ?? 4);

/** In seconds. */
const WARM_UP = 2;
const CONNECTIONS = 64;
const FEW = 100;
const IDLE = 2000;
/** How long idle connections last, in seconds. */
const REST = 2;
const CONNECT_MS = 60_000;
const SIZES = [100, 1_000_000];

interface Ports {
  proxy: string;
  server: string;
  /** A file with a certificate and its key, where clients of the proxy connect by TLS. */
  pair?: string | undefined;
}

const built = (name: string) => fileURLToPath(new URL(`./${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'mproxy-bench-'));
const ours = (engine: string) => ({
  name: engine,
  argv: ({ proxy, server, pair }: Ports) => [
    ...[process.execPath, built('stream-proxy.js'), engine, proxy, server],
    ...(pair === undefined ? [] : [pair]),
  ],
});
const haproxy = {
  name: 'haproxy',
  argv: ({ proxy, server, pair }: Ports) => {
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn ${2 * IDLE}
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen proxy
  bind 127.0.0.1:${proxy}${pair === undefined ? '' : ` ssl crt ${pair}`}
  server echo 127.0.0.1:${server}
`,
    );
    return ['haproxy', '-db', '-f', file];
  },
};
const linux = ours('linux');

buildNative();
try {
  for (const size of SIZES) {
    const ratios: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const [own, its] = [await rate(linux, size), await rate(haproxy, size)];
      ratios.push(own / its);
      print(size, `linux ${mega(own)}, haproxy ${mega(its)} MB a CPU second: ${(own / its).toFixed(2)}`);
    }
    const ahead = ratios.filter((ratio) => ratio > 1).length;
    print(size, `median ${median(ratios).toFixed(2)}, ahead in ${ahead} of ${pairs}`);
  }
  const pair = join(folder, 'pair.pem');
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'bench' }], { keyType: 'ec' });
  writeFileSync(pair, `${cert}\n${key}\n`);
  for (const one of [linux, ours('node'), haproxy]) {
    const plain = (await idleMemory(one)) / 2;
    const secure = (await idleMemory(one, pair)) - plain;
    console.log(`${one.name}: an idle connection ${kilo(plain)}, with TLS ${kilo(secure)}`);
  }
} finally {
  killAll();
  rmSync(folder, { recursive: true, force: true });
}

type Proxy = typeof haproxy;
/** Resolves when all are connected. */
type Load = (connections: number, size: number, seconds: number) => Promise<Helper>;

/** @returns bytes a second of CPU */
async function rate(proxy: Proxy, size: number): Promise<number> {
  return run(proxy, async (program, load) => {
    // JavaScript is compiled meanwhile.
    await (await load(CONNECTIONS, size, WARM_UP)).findings;
    const before = program.usage().cpu;
    const { bytes } = await (await load(CONNECTIONS, size, seconds)).findings;
    return bytes! / (program.usage().cpu - before);
  });
}

/** The memory of two connections that pass nothing: of a client, by TLS with a pair, and to the server. */
async function idleMemory(proxy: Proxy, pair?: string): Promise<number> {
  const few = await peak(proxy, FEW, pair);
  return ((await peak(proxy, IDLE, pair)) - few) / (IDLE - FEW);
}

function peak(proxy: Proxy, connections: number, pair?: string): Promise<number> {
  return run(
    proxy,
    async (program, load) => {
      await (await load(connections, 0, REST)).findings;
      return program.usage().rss;
    },
    pair,
  );
}

async function run(
  proxy: Proxy,
  look: (program: Program, load: Load) => Promise<number>,
  pair?: string,
): Promise<number> {
  const ports = { proxy: String(await freeTcpPort()), server: String(await freeTcpPort()), pair };
  const program = new Program({ argv: proxy.argv(ports) });
  try {
    const ended = () => !program.alive && `${proxy.name} ended: ${program.lastWords}`;
    await until('open socket', () => isListening(Number(ports.proxy), program.pid), ended);
    return await look(program, async (connections, size, time) => {
      const load = pair
        ? new Helper(process.execPath, built('tls-idle.js'), ports.server, ports.proxy, connections, time)
        : new Helper(native('echo-load'), ports.server, ports.proxy, connections, size, time);
      await until('connections', () => load.says('connected'), undefined, CONNECT_MS);
      return load;
    });
  } finally {
    await program.stop();
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e8 ? 2 : 0);
}

function kilo(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KB`;
}

function print(size: number, text: string): void {
  console.log(`${CONNECTIONS} connections, messages of ${size} bytes: ${text}`);
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative, native } from './native.js';
import { freeTcpPort, isListening, until } from './ports.js';
import { Helper, killAll, Program } from './program.js';

/**
 * streams [PAIRS] [SECONDS]: a TCP proxy made of the interface to stream sockets, beside HAProxy in mode tcp: bytes a second of CPU, in
 * turns, and the median of the paired ratios; then the memory of an idle connection.
 */
const pairs = Number(process.argv[2] ?? 9);
const seconds = Number(process.argv[3] ?? 4);

/** In seconds. */
const WARM_UP = 2;
const CONNECTIONS = 64;
const IDLE = 2000;
const SIZES = [100, 1_000_000];

interface Ports {
  proxy: string;
  server: string;
}

const folder = mkdtempSync(join(tmpdir(), 'mproxy-bench-'));
const ours = (engine: string) => ({
  name: engine,
  argv: ({ proxy, server }: Ports) => {
    const program = fileURLToPath(new URL('./stream-proxy.js', import.meta.url));
    return [process.execPath, program, engine, proxy, server];
  },
});
const haproxy = {
  name: 'haproxy',
  argv: ({ proxy, server }: Ports) => {
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
  bind 127.0.0.1:${proxy}
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
  for (const one of [linux, ours('node'), haproxy])
    console.log(`${one.name}: ${((await idleMemory(one)) / 1024).toFixed(1)} KB an idle connection`);
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

/** The memory of a connection that passes nothing; a proxied one is two. */
async function idleMemory(proxy: Proxy): Promise<number> {
  const few = await peak(proxy, 100);
  return ((await peak(proxy, IDLE)) - few) / (IDLE - 100) / 2;
}

function peak(proxy: Proxy, connections: number): Promise<number> {
  return run(proxy, async (program, load) => {
    await (await load(connections, 0, 2)).findings;
    return program.usage().rss;
  });
}

async function run(proxy: Proxy, look: (program: Program, load: Load) => Promise<number>): Promise<number> {
  const ports = { proxy: String(await freeTcpPort()), server: String(await freeTcpPort()) };
  const program = new Program({ argv: proxy.argv(ports) });
  try {
    const ended = () => !program.alive && `${proxy.name} ended: ${program.lastWords}`;
    await until('open socket', () => isListening(Number(ports.proxy), program.pid), ended);
    return await look(program, async (connections, size, time) => {
      const load = new Helper(native('echo-load'), ports.server, ports.proxy, connections, size, time);
      await until('connections', () => load.says('connected'));
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

function print(size: number, text: string): void {
  console.log(`${CONNECTIONS} connections, messages of ${size} bytes: ${text}`);
}

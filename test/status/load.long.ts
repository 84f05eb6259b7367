import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Lost, Stats } from 'mproxy-flow';
import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { peakMemory } from '../support/memory.js';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';
import { ask, startShown } from './http.js';

/** How long each turn is measured, in milliseconds. */
const TURN_MS = 5000;
/** How long data pass before memory is measured, in milliseconds: as long as the heap of a node engine grows by itself. */
const WARM_MS = 15_000;
/** Pairs of turns: a bystander is disturbed, then the program. */
const TURNS = 5;
/** Payload of a datagram, in bytes. */
const PAYLOAD = '1400';
/** Datagrams a second: the first that are tried, and the least that a machine must pass. */
const FIRST_RATE = 800_000;
const LEAST_RATE = 1000;
/** Limit on the memory that it takes, in bytes. */
const MAX_MEMORY = 10e6;
/** Requests that must be answered in a second, of the 1,000 that are sent: those on a new connection may be cut. */
const LEAST_ANSWERED = 300;

/** CPU seconds of each thread. schedstat: nanoseconds on a processor (kernel documentation, sched-stats). */
function cpu(pid: number): Map<number, number> {
  const threads = readdirSync(`/proc/${pid}/task`).map(Number);
  return new Map(
    threads.map((id) => [
      id,
      Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'latin1').split(' ')[0]) / 1e9,
    ]),
  );
}

/** What each thread used in a turn, in seconds. */
async function usedBy(pid: number): Promise<Map<number, number>> {
  const before = cpu(pid);
  await wait(TURN_MS);
  return new Map([...cpu(pid)].map(([id, seconds]) => [id, seconds - (before.get(id) ?? 0)]));
}

async function busiest(pid: number): Promise<number> {
  const used = [...(await usedBy(pid))];
  return used.toSorted(([, one], [, other]) => other - one)[0]![0];
}

/** @param seconds used in a turn */
function percent(seconds = Number.NaN): string {
  return `${((100_000 * seconds) / TURN_MS).toFixed(1)} %`;
}

/** 500 slow clients, random bytes, readers of events and 1,000 requests a second, until `stop` is called. */
function disturb(t: Test, url: string) {
  const { port } = new URL(url);
  const open = new Set<Socket>();
  let over = false;
  let answered = 0;
  const client = (bytes: string | Buffer, read: boolean) => {
    if (over) return;
    const socket = connect(Number(port), '127.0.0.1');
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      open.delete(socket);
      setTimeout(() => client(bytes, read), 500).unref();
    });
    if (read) socket.resume();
    socket.write(bytes);
  };
  for (let i = 0; i < 500; i++) client('GET / HTTP/1.1\r\nHost: x\r\n', true);
  for (let i = 0; i < 10; i++) client(randomBytes(4096), true);
  for (let i = 0; i < 5; i++) client('GET /events HTTP/1.1\r\nHost: x\r\n\r\n', i > 0);
  const agent = new Agent({ keepAlive: true, maxSockets: 10 });
  const asking = setInterval(() => {
    for (let i = 0; i < 10; i++)
      get(`${url}/metrics`, { agent }, (answer) => {
        answer.resume().on('end', () => answered++);
      }).on('error', () => undefined);
  }, 10);
  const stop = () => {
    over = true;
    clearInterval(asking);
    agent.destroy();
    for (const socket of open) socket.destroy();
  };
  t.teardown(stop);
  return { stop, answered: () => answered };
}

/** A destination that takes no time: its process does not run, and the kernel drops what it does not read. */
async function unread(t: Test): Promise<number> {
  const server = start(t, 'server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0']);
  const port = await server.port();
  server.child.kill('SIGSTOP');
  return port;
}

async function startForward(t: Test, engine: string) {
  const to = `127.0.0.1:${await unread(t)}`;
  const from = '127.0.0.1:0';
  const { program, url } = await startShown(t, 'forward', [
    ...['--engine', engine, '--udp-listen-addr', from, '--udp-downstream-addr', to],
  ]);
  const port = await program.port();
  const stats = async (): Promise<Stats & { losses: Lost[] }> => JSON.parse((await ask(`${url}/stats`)).body);
  return { program, url, port, stats, pid: program.child.pid! };
}

function received({ routes }: Stats): number {
  return routes[0]!.source.datagrams;
}

/** @param rate datagrams a second */
function feed(t: Test, port: number, rate: number): Running {
  const to = ['--rate', `${rate}pps`, '--payload', PAYLOAD, '--server-addr', `127.0.0.1:${port}`];
  return start(t, 'client', ['--path', '/dev/zero', '--frame', 'raw', ...to]);
}

/**
 * Throughput, as RFC 2544, section 26.1, has it: the datagrams a second that pass without a loss, found by halving, while
 * the machine has as much to do as later.
 */
async function throughput(t: Test, engine: string, bystander: string): Promise<number> {
  for (let rate = FIRST_RATE; rate >= LEAST_RATE; rate /= 2) {
    const { program, port, stats } = await startForward(t, engine);
    const client = feed(t, port, rate);
    const { stop } = disturb(t, bystander);
    await until('data pass', async () => received(await stats()) > 0);
    const before = received(await stats());
    await wait(TURN_MS);
    const after = await stats();
    stop();
    await client.kill();
    await program.stop();
    const passed = (1000 * (received(after) - before)) / TURN_MS;
    if (after.losses.length === 0 && passed > 0.9 * rate) return rate;
  }
  throw new Error(`less than ${LEAST_RATE} datagrams a second pass without a loss`);
}

/** Disturbs a bystander, then the program that moves the data, in turns. @returns what is wrong */
async function attempt(t: Test, engine: string, bystander: string): Promise<string[]> {
  const rate = (await throughput(t, engine, bystander)) / 2;
  t.comment(`${rate} datagrams a second, half of the throughput`);
  const { url, port, program, stats } = await startForward(t, engine);
  const pid = program.child.pid!;
  const client = feed(t, port, rate);
  // While nobody asks, the busiest thread is that which moves data.
  const data = await busiest(pid);
  await wait(WARM_MS);
  // The most so far: V8 gives some back whenever nothing happens for seconds.
  const before = peakMemory(pid);
  const lost = async () => (await stats()).losses.reduce((sum, { count }) => sum + count, 0);
  let [answered, lostDisturbed] = [0, 0];
  for (let i = 0; i < TURNS; i++) {
    for (const disturbed of [bystander, url]) {
      const lostBefore = await lost();
      const asking = disturb(t, disturbed);
      const used = await usedBy(pid);
      asking.stop();
      const lostNow = (await lost()) - lostBefore;
      const what = disturbed === url ? 'the program' : 'a bystander';
      t.comment(
        `${what} disturbed: CPU of data ${percent(used.get(data))}, main ${percent(used.get(pid))}; lost ${lostNow}`,
      );
      if (disturbed !== url) continue;
      answered += asking.answered();
      lostDisturbed += lostNow;
    }
  }
  const more = peakMemory(pid) - before;
  await client.stop();
  const datagrams = received(await stats());
  await program.stop();
  t.comment(`${datagrams} datagrams, ${answered} answers`);
  t.comment(`memory: ${(more / 1e6).toFixed(1)} MB more than ${(before / 1e6).toFixed(1)}`);
  return untrue({
    [`${lostDisturbed} datagrams lost`]: lostDisturbed === 0,
    [`memory: ${more} bytes more`]: more < MAX_MEMORY,
    [`${answered} answers`]: answered > (LEAST_ANSWERED * TURNS * TURN_MS) / 1000,
  });
}

for (const engine of ['linux', 'node'])
  t.test(`${engine}: whatever the status server is sent, data pass as before`, async (t) => {
    const bystander = await startForward(t, 'node');
    await inOneOfSome(t, () => attempt(t, engine, bystander.url));
  });

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { ask, startShown } from './http.js';

/** How long each turn is measured, in milliseconds. */
const TURN_MS = 5000;
/** Pairs of turns, quiet and disturbed. */
const TURNS = 3;
/** Of datagrams of 1400 bytes. */
const RATE = '50000pps';
/** Limit on the memory that it takes, in bytes: mostly garbage of requests, which V8 collects late. */
const MAX_MEMORY = 60e6;

/** CPU seconds of the busiest thread but the main one: that which moves data. */
function dataCpu(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`).filter((id) => Number(id) !== pid);
  // schedstat: nanoseconds on a processor (kernel documentation, sched-stats).
  const used = threads.map(
    (id) => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'latin1').split(' ')[0]) / 1e9,
  );
  return Math.max(...used);
}

function memory(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) * 1024;
}

/** 500 slow clients, random bytes, readers of events and 1,000 requests a second, until the function that it returns is called. */
function disturb(t: Test, url: string): () => void {
  const { port } = new URL(url);
  const open = new Set<Socket>();
  let over = false;
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
      get(`${url}/metrics`, { agent }, (answer) => answer.resume()).on('error', () => undefined);
  }, 10);
  const stop = () => {
    over = true;
    clearInterval(asking);
    agent.destroy();
    for (const socket of open) socket.destroy();
  };
  t.teardown(stop);
  return stop;
}

t.test('whatever the status server is sent, data pass as before', async (t) => {
  const sink = await udpSink(t);
  const args = ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', `127.0.0.1:${sink.port}`];
  const { program, url } = await startShown(t, 'forward', ['--engine', 'linux', ...args]);
  const to = `127.0.0.1:${await program.port()}`;
  const client = start(t, 'client', [
    ...['--path', '/dev/zero', '--frame', 'raw', '--payload', '1400', '--rate', RATE, '--server-addr', to],
  ]);
  const pid = program.child.pid!;
  const turn = async () => {
    const before = dataCpu(pid);
    await wait(TURN_MS);
    return dataCpu(pid) - before;
  };
  await wait(2000);
  const shares: number[] = [];
  const memoryBefore = memory(pid);
  let more = 0;
  for (let i = 0; i < TURNS; i++) {
    const quiet = await turn();
    const stop = disturb(t, url);
    const disturbed = await turn();
    shares.push(disturbed / quiet);
    more = memory(pid) - memoryBefore;
    stop();
  }
  t.comment(`memory: ${(more / 1e6).toFixed(1)} MB more`);
  t.comment(
    `CPU of the data thread, disturbed to quiet: ${shares.map((share) => share.toFixed(3)).join(' ')}`,
  );
  await client.stop();
  const { losses, routes } = JSON.parse((await ask(`${url}/stats`)).body);
  t.comment(`${routes[0].source.datagrams} datagrams`);
  t.strictSame(losses, [], 'none lost');
  t.ok(shares.toSorted((one, other) => one - other)[1]! < 1.05, 'the median is within 5 %');
  t.ok(more < MAX_MEMORY, `${more} bytes more`);
});

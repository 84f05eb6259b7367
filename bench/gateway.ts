import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { get as getTls } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contestant, HOST, type Place } from './contestant.js';
import type { Load } from './loads.js';
import { native } from './native.js';
import { freeTcpPort, isListening, until } from './ports.js';
import { Helper, Program } from './program.js';
import { NOTHING, type Sample } from './sample.js';

/** JavaScript is compiled meanwhile, in seconds. */
const WARM_UP = 1.5;
const START_TIMEOUT_MS = 10_000;
const POLL_MS = 2;
/** Time in which a program that has answered gets its other threads ready, and gives memory back. */
const REST_MS = 1000;
const CONNECT_MS = 60_000;
/** Idle connections before those whose memory is measured. */
const FEW = 100;

/** Puts a reverse proxy between clients and an origin. */
export async function gateway(contestant: Contestant, load: Load, work: string): Promise<Sample | undefined> {
  const place = { in: await freeTcpPort(), out: await freeTcpPort(), file: join(work, 'gateway') };
  const command = contestant.command(load, place);
  if (!command) return undefined;
  if (command.config !== undefined) writeFileSync(place.file, command.config);
  const bare = load.role === 'start' ? bareNode() : Number.NaN;
  const origin = new Program({ argv: [native('http-origin'), `${place.out}`, `${load.size}`] });
  let program: Program | undefined;
  try {
    await until('origin', () => isListening(place.out));
    const begin = performance.now();
    program = new Program(command);
    await firstAnswer(program, load, place);
    const start = performance.now() - begin;
    if (load.role === 'gateway') return await loaded(program, load, place);
    return { ...(await atRest(program, load, place)), start, starts: start / bare };
  } finally {
    await program?.stop();
    await origin.stop();
  }
}

async function loaded(program: Program, load: Load, place: Place): Promise<Sample> {
  await ask({ ...load, rate: 0 }, place, WARM_UP).findings;
  const before = program.usage();
  const { asked, answered, failed, seconds, mean, p50, p99 } = await ask(load, place, load.seconds).findings;
  const { cpu, rss, threads } = program.usage();
  const rate = answered! / seconds!;
  return {
    ...NOTHING,
    offered: asked! / seconds!,
    delivered: answered! / (answered! + failed!),
    rate,
    mbps: (rate * load.size * 8) / 1e6,
    cost: ((cpu - before.cpu) * 1e6) / answered!,
    rss,
    threads,
    mean: mean!,
    p50: p50!,
    p99: p99!,
  };
}

/** Memory when one request has been answered, and of each further connection that has been, and is idle. */
async function atRest(program: Program, load: Load, place: Place): Promise<Sample> {
  await sleep(REST_MS);
  const { resident: rss, threads } = program.usage();
  const few = await idle(load, place, FEW);
  try {
    await sleep(REST_MS);
    const before = program.usage().resident;
    const many = await idle(load, place, load.clients);
    try {
      await sleep(REST_MS);
      return {
        ...NOTHING,
        delivered: 1,
        rss,
        threads,
        idle: (program.usage().resident - before) / load.clients,
      };
    } finally {
      many.kill();
    }
  } finally {
    few.kill();
  }
}

async function idle(load: Load, place: Place, clients: number): Promise<Helper> {
  const seconds = CONNECT_MS / 1000;
  const helper = new Helper(generator(load.tls), place.in, clients, load.size, seconds, 0, 'idle');
  try {
    await until(`${clients} answers`, () => helper.says('connected'), undefined, CONNECT_MS);
    return helper;
  } catch (error) {
    helper.kill();
    throw error;
  }
}

function ask({ clients, size, rate, mode, tls }: Load, place: Place, seconds: number): Helper {
  return new Helper(generator(tls), place.in, clients, size, seconds, rate, mode);
}

function generator(tls: boolean): string {
  return native(tls ? 'http-load-tls' : 'http-load');
}

async function firstAnswer(program: Program, load: Load, place: Place): Promise<void> {
  for (
    const end = performance.now() + START_TIMEOUT_MS;
    (await status(load, place)) !== 200;
    await sleep(POLL_MS)
  ) {
    if (!program.alive) throw new Error(`it ended: ${program.lastWords}`);
    if (performance.now() > end) throw new Error(`no answer within ${START_TIMEOUT_MS / 1000} s`);
  }
}

/** @returns undefined if nobody answers */
function status({ tls }: Load, { in: port }: Place): Promise<number | undefined> {
  return new Promise((resolve) => {
    const options = { host: HOST, port, agent: false, timeout: START_TIMEOUT_MS, rejectUnauthorized: false };
    const request = (tls ? getTls : get)(options, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    request.on('timeout', () => request.destroy()).on('error', () => resolve(undefined));
  });
}

/** Milliseconds of `node -e 0`. */
function bareNode(): number {
  const begin = performance.now();
  const { status, error } = spawnSync(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  if (status !== 0) throw new Error('node -e 0 failed', { cause: error });
  return performance.now() - begin;
}

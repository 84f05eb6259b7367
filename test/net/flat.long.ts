import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { peakMemory, residentMemory } from '../support/memory.js';
import { until } from '../support/wait.js';

const MINUTES = Number(process.env.FLAT_MINUTES ?? 10);
const RATE = '20000pps';
const PAYLOAD = 1400;
const CLIENTS = 10;
/** Samples in all, so that a part of them tells a low worth the name. */
const SAMPLES = 120;

/**
 * Bytes by which the later memory may be above the earlier. In ten minutes 12 million datagrams pass: a leak of one
 * byte a datagram would be twice this. Less than this is V8, which gives pages back when it likes to.
 */
const GROWTH = 5e6;
const PEAK = 100e6;

const onLinux = process.platform !== 'linux' && 'a process tells its memory in /proc, on Linux';

t.setTimeout(MINUTES * 60_000 + 120_000);

t.test(
  `memory stays flat through ${MINUTES} minutes of ${RATE} from end to end`,
  { skip: onLinux },
  async (t) => {
    const chain = await startChain(t);
    const { client, forward, reverse, server, readers } = chain;
    const programs = Object.entries({ client, forward, reverse, server });
    const samples = new Map(programs.map(([name]) => [name, [] as number[]]));
    const begin = performance.now();
    const period = (MINUTES * 60_000) / SAMPLES;
    for (let i = 1; i <= SAMPLES; i++) {
      await until(
        'the next sample is due',
        () => performance.now() - begin >= i * period,
        period * 2 + 10_000,
      );
      for (const [name, { child }] of programs) samples.get(name)!.push(residentMemory(child.pid!));
    }
    for (const [name, { child, running, stderr }] of programs) {
      if (!running) throw new Error(`mproxy-${name} ended: ${stderr}`);
      const sizes = samples.get(name)!;
      const [early, late] = [low(sizes, 1 / 6, 1 / 2), low(sizes, 1 / 2, 1)];
      const peak = peakMemory(child.pid!);
      t.comment(`${name}: ${mega(early)} MB early, ${mega(late)} MB late, ${mega(peak)} MB at most`);
      t.ok(late - early <= GROWTH, `mproxy-${name} grew by ${mega(late - early)} MB`);
      t.ok(peak <= PEAK, `mproxy-${name} took ${mega(peak)} MB at most`);
    }
    // From the beginning to the end, so that each passes on what the one before sent.
    for (const [name, program] of programs) t.equal(await program.stop(), 0, `mproxy-${name} ends with 0`);
    await until('the readers have all', () => readers.every(({ ended }) => ended));

    const sent = count(client, / -> .*?: ([\d,]+) datagrams/);
    const said = programs.reduce((sum, [, program]) => sum + lost(program), 0);
    t.comment(`${sent} datagrams sent, ${said} said to be lost`);
    t.ok(sent > MINUTES * 60 * 15_000, 'the load was about what it should be');
    // A client that is asked to stop sends the piece that it has begun.
    const got = readers.map(({ bytes }) => Math.ceil(bytes / PAYLOAD));
    got.push(count(server, /stats: .*?: ([\d,]+) datagrams/));
    for (const [i, datagrams] of got.entries()) {
      const who = i < CLIENTS ? `client ${i + 1}` : 'the server';
      const missing = sent - datagrams;
      // What the kernel drops coalesced, it counts once: the sum told may be less, and is never nothing.
      t.ok(missing === 0 || (missing > 0 && said > 0), `${who}: ${missing} are missing`);
    }
  },
);

/** Zeros through all four programs: to a group, and from it to TCP clients and to a collecting server. */
async function startChain(t: Test) {
  const group = await loopbackGroup();
  const stats = ['--stats', '1h'];
  const server = start(t, 'server', ['--listen-addr', group.address, '--path', '/dev/null', ...stats]);
  await server.port();
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0', ...stats],
  ]);
  const out = await reverse.port();
  const readers = Array.from({ length: CLIENTS }, () => new Reader(t, out));
  await until('all clients are there', () => reverse.stderr.split('client: ').length > CLIENTS);
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', group.address, ...stats],
  ]);
  const client = start(t, 'client', [
    ...['--path', '/dev/zero', '--frame', 'raw', '--payload', String(PAYLOAD), '--rate', RATE],
    ...['--server-addr', `127.0.0.1:${await forward.port()}`, ...stats],
  ]);
  return { client, forward, reverse, server, readers };
}

/** Reads everything, and keeps how much it was. */
class Reader {
  bytes = 0;
  ended = false;

  constructor(t: Test, port: number) {
    const callback = (bytes: number) => {
      this.bytes += bytes;
      return true;
    };
    const onread = { buffer: Buffer.alloc(256 * 1024), callback };
    const socket = connect({ port, host: '127.0.0.1', onread });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
    });
    t.teardown(() => socket.destroy());
  }
}

/** The lowest tenth of a part of the samples: what is left after collections, whose times differ. */
function low(samples: number[], from: number, to: number): number {
  const part = samples.slice(Math.round(samples.length * from), Math.round(samples.length * to));
  return part.sort((a, b) => a - b)[Math.floor(part.length / 10)]!;
}

/** A number of the last line of `--stats` that matches. */
function count({ stderr }: Running, pattern: RegExp): number {
  const lines = stderr.split('\n').filter((line) => pattern.test(line));
  return number(pattern.exec(lines.at(-1) ?? '')?.[1]);
}

/** Everything that the last line about losses counts. */
function lost({ stderr }: Running): number {
  const last = stderr.match(/^\S+: lost in all: .*$/gm)?.at(-1) ?? '';
  return [...last.matchAll(/dropped ([\d,]+) datagram|, ([\d,]+) times?/g)].reduce(
    (sum, [, dropped, failed]) => sum + number(dropped ?? failed),
    0,
  );
}

function number(text: string | undefined): number {
  return Number(text?.replaceAll(',', ''));
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

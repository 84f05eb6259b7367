import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Contestant } from './contestant.js';
import { Hosts } from './hosts.js';
import { writeLines } from './lines.js';
import type { Load } from './loads.js';
import { ROOT } from './native.js';
import { until } from './ports.js';
import { Program } from './program.js';
import type { Sample } from './sample.js';

/** A group that leaves none of the hosts that the bench makes. */
const GROUP = '239.77.0.2';
const PORT = 9922;
const SENDER = 1;
const RECEIVERS = [2, 3, 4];
/** As much as mproxy asks for. */
const BUFFER = '8388608';
const PATIENCE_MS = 120_000;

/** How a program sends a file to many; each of them ends when its part is done, or is ended. */
interface Repairer {
  receive: (host: number, folder: string, input: string) => { argv: string[]; file: string };
  send: (input: string, mbps: number) => string[];
  /** Whose end says that everybody has the file. */
  ends: 'receivers' | 'sender';
}

const repairers: Record<string, Repairer> = {
  mproxy: {
    receive: (_, folder) => {
      const file = join(folder, 'out');
      const flags = ['--frame', 'mold', '--once', '--from-start', '--path', file];
      return { argv: ours('server', '--listen-addr', group(), ...flags), file };
    },
    send: (input, mbps) =>
      ours('client', '--path', input, '--server-addr', group(), '--frame', 'mold', '--rate', `${mbps}Mbps`),
    ends: 'receivers',
  },
  /** Takes whoever registers, within its time for that: who is there is known to it as little as to mproxy. */
  uftp: uftp([]),
  /** Is told whom to wait for, and so does not wait for others. */
  'uftp -H': uftp(['-H', RECEIVERS.map(uid).join(',')]),
};

/** Those who can send a file to many and repair what was lost. Their commands are made with the hosts. */
export const REPAIRERS: Contestant[] = Object.keys(repairers).map((name) => ({
  name,
  kind: name === 'mproxy' ? 'ours' : 'peer',
  command: (load) => (load.role === 'repair' ? { argv: [] } : undefined),
}));

/** Sends a file to three hosts that lose a part of everything. Throws unless all three have it. */
export async function repair({ name }: Contestant, load: Load, work: string): Promise<Sample> {
  const { receive, send, ends } = repairers[name]!;
  const input = join(work, `input-${load.bytes}`);
  if (statSync(input, { throwIfNoEntry: false })?.size !== load.bytes) writeLines(input, load.bytes);
  const hosts = new Hosts(1 + RECEIVERS.length);
  const programs: Program[] = [];
  const run = (host: number, argv: string[]) => {
    const program = new Program({ argv: hosts.on(host, argv) });
    programs.push(program);
    return program;
  };
  try {
    const receivers = RECEIVERS.map((host) => {
      const folder = join(work, `host${host}`);
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      hosts.lose(host, load.loss);
      const { argv, file } = receive(host, folder, input);
      return { file, program: run(host, argv) };
    });
    for (const host of RECEIVERS) await until('open socket', () => hosts.sockets(host, PORT) > 0);
    const before = hosts.sent(SENDER);
    const begin = performance.now();
    const sender = run(SENDER, send(input, load.mbps));
    const those = ends === 'sender' ? [sender] : receivers.map(({ program }) => program);
    await inTime(Promise.all(those.map(({ ended }) => ended)));
    const seconds = (performance.now() - begin) / 1000;
    const wire = (hosts.sent(SENDER) - before) / load.bytes;
    await inTime(sender.ended);
    const content = readFileSync(input);
    const whole = receivers.filter(({ file }) => readFileSync(file).equals(content)).length;
    if (whole < RECEIVERS.length)
      throw new Error(`${whole} of ${RECEIVERS.length} got it: ${sender.lastWords}`);
    return { ...NOTHING, delivered: 1, mbps: (load.bytes * 8) / seconds / 1e6, seconds, wire };
  } finally {
    for (const program of programs) await program.stop();
    hosts.remove();
    for (const host of RECEIVERS) rmSync(join(work, `host${host}`), { recursive: true, force: true });
  }
}

const NOTHING = { offered: NaN, rate: NaN, cpu: NaN, rss: NaN, p50: NaN, p99: NaN };

function uftp(more: string[]): Repairer {
  const where = ['-I', 'eth0', '-M', GROUP, '-p', `${PORT}`, '-B', BUFFER];
  return {
    receive: (host, folder, input) => {
      const argv = ['uftpd', '-d', '-q', ...where, '-U', uid(host), '-D', folder];
      return { argv, file: join(folder, basename(input)) };
    },
    send: (input, mbps) => ['uftp', ...where, '-P', GROUP, ...more, '-R', `${mbps * 1000}`, input],
    ends: 'sender',
  };
}

function ours(name: string, ...args: string[]): string[] {
  return [process.execPath, join(ROOT, 'bin', `mproxy-${name}`), ...args];
}

function group(): string {
  return `${GROUP}:${PORT},interface=eth0`;
}

function uid(host: number): string {
  return `0x${host.toString(16).padStart(8, '0')}`;
}

async function inTime(done: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
  });
  await Promise.race([done, late]).finally(() => clearTimeout(timer));
}

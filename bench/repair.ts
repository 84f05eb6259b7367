import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Contestant } from './contestant.js';
import { Hosts } from './hosts.js';
import { writeLines } from './lines.js';
import type { Load } from './loads.js';
import { ROOT } from './native.js';
import { until } from './ports.js';
import { Program } from './program.js';
import { NOTHING, type Sample } from './sample.js';

/** An administratively scoped group, used only between the bench's hosts. */
const GROUP = '239.77.0.2';
const PORT = 9922;
const SENDER = 1;
const RECEIVERS = [2, 3, 4];
/** Same as mproxy's receive buffer. */
const BUFFER = '8388608';
const TIMEOUT_MS = 120_000;

/** How a program sends a file to many receivers. Processes that do not end by themselves are stopped. */
interface Repairer {
  receive: (host: number, folder: string, input: string) => { argv: string[]; file: string };
  send: (input: string, mbps: number) => string[];
  /** Whose end means that all receivers have the file. */
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
  /** Accepts any receiver that registers in time; like mproxy, it has no list of receivers. */
  uftp: uftp([]),
  /** Has a list of receivers, and waits for no others. */
  'uftp -H': uftp(['-H', RECEIVERS.map(uid).join(',')]),
};

/** Programs that multicast a file with repair. Their commands are built once the hosts exist. */
export const REPAIRERS: Contestant[] = Object.keys(repairers).map((name) => ({
  name,
  kind: name === 'mproxy' ? 'ours' : 'peer',
  command: (load) => (load.role === 'repair' ? { argv: [] } : undefined),
}));

/** Sends a file to three lossy hosts. @throws unless all three receive it in full */
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
    const awaited = ends === 'sender' ? [sender] : receivers.map(({ program }) => program);
    await withTimeout(Promise.all(awaited.map(({ ended }) => ended)));
    const seconds = (performance.now() - begin) / 1000;
    const wire = (hosts.sent(SENDER) - before) / load.bytes;
    await withTimeout(sender.ended);
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

async function withTimeout(done: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS);
  });
  await Promise.race([done, late]).finally(() => clearTimeout(timer));
}

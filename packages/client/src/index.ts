import { parseInteger, parseRate, type Rate, showBytes, showCount, usage } from 'mproxy-base';
import {
  type CommonOptions,
  choosePayload,
  FileSource,
  FollowedInput,
  type Handle,
  type Input,
  type MoldSendOptions,
  MoldSink,
  openInput,
  openUdpSink,
  type Pace,
  Pacer,
  type Program,
  parseFlushAfter,
  parsePayload,
  readMoldSending,
  type Sink,
  startProgram,
  stdoutSink,
  unsent,
} from 'mproxy-flow';
import type { Frame } from 'mproxy-framing';
import type { AddressRule } from 'mproxy-net';
import {
  type Deliver,
  type KeyOptions,
  keyDefaults,
  parseAddresses,
  parseFrame,
  resolveFirst,
} from 'mproxy-net';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';

/** The flags of mproxy-client, in camelCase. */
export interface ClientOptions extends CommonOptions, KeyOptions, MoldSendOptions {
  /** A file, FIFO or device; `-` is stdin. */
  path: string;
  /** `HOST:PORT[,KEY...]` to send to; optional with `tee`. */
  serverAddr?: string | string[];
  /** Continue after the end of the file, like `tail -F`. */
  follow?: boolean;
  /** With `follow`: begin at the end of the file. */
  fromEnd?: boolean;
  /**
   * Speed of a serial device in baud, 1 to 100,000,000; default its present speed. A device or terminal
   * opened by its path is set raw, without echo.
   */
  baud?: number | string;
  /** Rate limit of each destination, in payload: `100Mbps` or `5000pps`; default none. */
  rate?: string;
  /** Maximum UDP payload in bytes, 1 to 65,507; default the MTU less headers, at most 8096. */
  payload?: number | string;
  /** Sends an unfinished line or `raw` piece this long after its first byte; default 50 ms for `raw` only. */
  flushAfter?: number | string;
}

export interface ClientHandle extends Handle {
  /** Bytes sent so far; the total for a regular file. */
  progress(): { bytes: number; total: number | undefined };
}

/** Above the speed of any serial line. */
const MAX_BAUD = 100_000_000;

export const SERVER_ADDR: AddressRule = {
  flag: '--server-addr',
  keys: ['interface', 'ttl', 'loop', 'bind', 'tos', 'sndbuf', 'frame'],
  listens: false,
};

/**
 * Streams a file, pipe or device to UDP destinations.
 *
 * `done` rejects with `MPROXY_SEND` if the kernel did not accept all datagrams, refusals by receivers aside.
 */
export function startClient(options: ClientOptions, signal?: AbortSignal): ClientHandle {
  let source: FileSource | undefined;
  let sinks: Sink[] = [];
  let total: number | undefined;
  const handle = startProgram(options, signal, async (program) => {
    const { frame, addresses, rate, flushAfter, payloadOption, mold, baud } = readOptions(options);
    const answers = await Promise.all(addresses.map((address) => resolveFirst(address, program.stopping)));
    const payload = await choosePayload(payloadOption, answers);
    const input = open(options, baud, program);
    if (input.stat?.isFile() && !options.follow) total = input.stat.size;
    const pace: Pace | undefined = rate && ((deliver) => createPacer(program, rate, deliver));
    const tee = options.tee ? stdoutSink(program, frame, true) : undefined;
    // If a sink cannot be opened, the program stops the source, which restores a device's mode.
    source = program.source(new FileSource(options.path, input, { frame, payload, flushAfter, tee }));
    const targets = addresses.map((address, i) => ({ address, answers: [answers[i]!] }));
    if (mold && targets.length > 0) {
      sinks = [await new MoldSink(program, { ...mold, payload, waits: true, pace }).open(targets)];
    } else {
      sinks = await Promise.all(targets.map((to) => openUdpSink(program, to.address, to.answers[0]!, frame)));
    }
    if (sinks.length === 0) void tee?.ended.then(() => program.stop());
    program.onEnd(() => failUnsent(program, sinks));
    program.onEnd(() => failDiscarded(program, options.path, source?.counts.discarded ?? 0));
    // A session paces its packets itself.
    program.route(source, sinks, { pace: mold ? undefined : pace });
  });
  // Bytes sent to the slowest destination; bytes read with only a tee.
  const sent = () =>
    sinks.length > 0 ? Math.min(...sinks.map(({ counts }) => counts.bytes)) : source?.bytesRead;
  return { ...handle, progress: () => ({ bytes: sent() ?? 0, total }) };
}

function readOptions(options: ClientOptions) {
  const { path, serverAddr, tee, follow, fromEnd, rate, baud } = options;
  const addresses = parseAddresses(serverAddr, SERVER_ADDR, keyDefaults(options));
  if (!path) throw usage('--path', 'missing', 'there is nothing to read', 'give a file, or - for stdin');
  if (addresses.length === 0 && !tee)
    throw usage('--server-addr', 'missing', 'there is nowhere to send', 'or use --tee');
  if (follow && path === '-') throw usage('--follow', '-', 'stdin cannot be followed', 'give its path');
  if (baud !== undefined && path === '-') throw usage('--baud', '-', 'stdin keeps its mode', 'give its path');
  if (fromEnd && !follow) throw usage('--from-end', 'given', 'it needs --follow');
  const frames = new Set<Frame>(addresses.map(({ keys }) => keys.frame ?? 'lines'));
  if (frames.size > 1)
    throw usage('frame', [...frames].join(', '), 'one cut serves all destinations', 'use one frame');
  const frame = [...frames][0] ?? parseFrame('--frame', String(options.frame ?? 'lines'));
  const pace = rate === undefined ? undefined : parseRate('--rate', rate);
  const sending = readMoldSending(options, frame === 'mold', pace);
  return {
    addresses,
    frame,
    rate: pace,
    baud: baud === undefined ? undefined : parseInteger('--baud', baud, 1, MAX_BAUD),
    mold: frame === 'mold' ? sending : undefined,
    payloadOption: parsePayload(options.payload, frame === 'mold'),
    flushAfter: parseFlushAfter(options.flushAfter, [frame]),
  };
}

function open(options: ClientOptions, baud: number | undefined, program: Program): Input {
  const { path, follow, fromEnd = false } = options;
  const { engine } = program;
  if (follow) return new FollowedInput(path, fromEnd, program, baud);
  return openInput(path, { engine, baud, lends: engine.sendsAtOnce });
}

function createPacer(program: Program, rate: Rate, deliver: Deliver): Pacer {
  const pacer = new Pacer(rate, deliver, program.stopping);
  program.onEnd(() => {
    if (pacer.unsent > 0)
      program.loss(`stopped: ${showBytes(pacer.unsent)} that were read were not sent any more`);
  });
  return pacer;
}

/** Datagrams that the kernel did not accept are a failure, unless stopped. Refusals are only reported. */
function failUnsent(program: Program, sinks: Sink[]): void {
  if (program.stopping.aborted) return;
  for (const { name, counts } of sinks) {
    const lost = unsent(counts);
    if (lost > 0) program.fail('MPROXY_SEND', 'sending', name, `${showCount(lost, 'datagram')} not sent`);
  }
}

function failDiscarded(program: Program, path: string, discarded: number): void {
  if (discarded > 0)
    program.fail('MPROXY_FILE', 'reading', path, `${showCount(discarded, 'message')} discarded`);
}

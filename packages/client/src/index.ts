import { type Rate, showCount } from 'mproxy-base';
import {
  choosePayload,
  type FileSource,
  type Handle,
  isMold,
  Outputs,
  openSources,
  type Pace,
  Pacer,
  type Program,
  resolveTargets,
  type Sink,
  startProgram,
  stdoutSink,
  unsent,
} from 'mproxy-flow';
import { UNSENT } from 'mproxy-flow/events';
import type { Deliver } from 'mproxy-net';
import { type ClientOptions, readOptions } from './options.js';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';
export type { ClientOptions } from './options.js';

export interface ClientHandle extends Handle {
  /** Bytes sent so far, and bytes in all if the input is a regular file. */
  progress(): { bytes: number; total: number | undefined };
}

/**
 * Streams a file, pipe or device to UDP, TCP and TLS destinations.
 *
 * `done` rejects with `MPROXY_SEND` if anything was not sent; a receiver that refuses datagrams does not count.
 */
export function startClient(options: ClientOptions, signal?: AbortSignal): ClientHandle {
  let source: FileSource | undefined;
  let sinks: Sink[] = [];
  const handle = startProgram(options, signal, async (program) => {
    const values = readOptions(options);
    const { path, serverAddr, frame, rate, tee } = values;
    const inputs = await resolveTargets(program, path, 'source');
    const targets = await resolveTargets(program, serverAddr, 'sink');
    const payload = await choosePayload(values.payload, targets);
    const pace: Pace | undefined = rate && ((deliver) => createPacer(program, rate, deliver));
    const [[file] = []] = await openSources(program, inputs, { payload, values });
    source = file as FileSource;
    // Where all destinations are one session, its packets are paced, not the lines in them.
    const isSession = targets.every(isMold);
    const outputs = new Outputs(program, targets, {
      ...{ payload, values, waits: true },
      pace: isSession ? pace : undefined,
    });
    sinks = await outputs.open(frame);
    if (sinks.length === 0 && tee) void stdoutSink(program, frame, true).ended.then(() => program.stop());
    program.onEnd(() => failUnsent(program, sinks));
    program.onEnd(() => failDiscarded(program, options.path, source?.counts.discarded ?? 0));
    program.route(source, sinks, { pace: isSession ? undefined : pace });
  });
  // The slowest destination counts; without destinations, the input.
  const sent = () =>
    sinks.length > 0 ? Math.min(...sinks.map(({ counts }) => counts.bytes)) : source?.bytesRead;
  return { ...handle, progress: () => ({ bytes: sent() ?? 0, total: source?.size }) };
}

function createPacer(program: Program, rate: Rate, deliver: Deliver): Pacer {
  const pacer = new Pacer(rate, deliver, program.stopping);
  program.onEnd(() => {
    if (pacer.unsent > 0) program.emit(UNSENT, { bytes: pacer.unsent });
  });
  return pacer;
}

/** Fails the program if datagrams were not sent, unless it was stopped. */
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

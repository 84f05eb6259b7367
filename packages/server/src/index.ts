import {
  forbidTwins,
  type Handle,
  openSources,
  type Program,
  resolveTargets,
  type Sink,
  startProgram,
  stdoutSink,
} from 'mproxy-flow';
import { UNTERMINATED, WRITING } from 'mproxy-flow/endpoints/file/events';
import { MAX_DATAGRAM } from 'mproxy-framing';
import { readOptions, type ServerOptions } from './options.js';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';
export type { ServerOptions } from './options.js';

/**
 * Collects UDP, TCP and TLS into files.
 *
 * `done` rejects with `MPROXY_WRITE` if received data could not be written.
 */
export function startServer(options: ServerOptions, signal?: AbortSignal): Handle {
  return startProgram(options, signal, async (program) => {
    // SIGHUP never stops a server, even before its files are open or when it writes to stdout.
    program.onReload(() => undefined);
    const values = readOptions(options);
    const targets = await resolveTargets(program, values.listenAddr, 'source');
    forbidTwins(program.engine, targets);
    const waits = values.listenAddr.every(({ type }) => type.waits === true);
    const sinks = await openFiles(program, values, waits);
    // Open before "listening" is said.
    const tee = values.tee ? [stdoutSink(program, values.teeFrame, waits)] : [];
    const unterminated = () => program.emitChange(UNTERMINATED, {});
    const sources = await openSources(program, targets, { payload: MAX_DATAGRAM, values, unterminated });
    for (const [i, sink] of sinks.entries()) {
      for (const source of sources[i]!) program.route(source, [...new Set<Sink>([sink, ...tee])]);
    }
  });
}

/** A sink for each address; addresses with the same path share one. */
async function openFiles(
  program: Program,
  values: ReturnType<typeof readOptions>,
  waits: boolean,
): Promise<Sink[]> {
  const { path, paths, frames } = values;
  const { type, address } = path[0]!;
  const opener = await type.load();
  const opened = new Map<string, Sink>();
  for (const [i, text] of paths.entries()) {
    if (opened.has(text)) continue;
    const target = { type, opener, answers: [], address: { ...address, text } };
    const context = { frame: frames[i]!, waits, payload: MAX_DATAGRAM, values };
    const [sink] = await opener.openSinks!(program, [target], context);
    program.emit(WRITING, { file: text === '-' ? 'stdout' : text });
    opened.set(text, sink!);
  }
  return paths.map((text) => opened.get(text)!);
}

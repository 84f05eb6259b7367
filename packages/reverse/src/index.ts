import { failure } from 'mproxy-base';
import {
  choosePayload,
  forbidLoops,
  forbidTwins,
  type Handle,
  Outputs,
  openSources,
  type Program,
  resolveTargets,
  type Sink,
  startProgram,
  stdoutSink,
  type Target,
} from 'mproxy-flow';
import { frameOf } from 'mproxy-net';
import { NAMES, type ReverseOptions, readOptions } from './options.js';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';
export type { ReverseOptions } from './options.js';

/** Sends TCP, TLS and UDP into a multicast group, and delivers the group to TCP, TLS and UDP consumers. */
export function startReverse(options: ReverseOptions, signal?: AbortSignal): Handle {
  return startProgram(options, signal, (program) => new Reverse(program, options).open());
}

class Reverse {
  readonly #values: ReturnType<typeof readOptions>;

  constructor(
    private readonly program: Program,
    options: ReverseOptions,
  ) {
    this.#values = readOptions(options);
  }

  async open(): Promise<void> {
    const { engine } = this.program;
    const { readsGroup, hasInputs, multicastAddr, payload } = this.#values;
    const { udpListenAddr, tcpListenAddr, udpOutputAddr, tcpOutputAddr } = this.#values;
    const [groups, datagrams, streams, outputs, clients] = await Promise.all([
      resolveTargets(this.program, multicastAddr, 'sink'),
      resolveTargets(this.program, udpListenAddr, 'source'),
      resolveTargets(this.program, tcpListenAddr, 'source'),
      resolveTargets(this.program, udpOutputAddr, 'sink'),
      resolveTargets(this.program, tcpOutputAddr, 'sink'),
    ]);
    this.#requireGroup(groups[0]!);
    forbidLoops(datagrams, [...groups, ...outputs]);
    forbidLoops(groups, outputs);
    forbidTwins(engine, readsGroup ? [...datagrams, ...groups] : datagrams, [...groups, ...outputs]);
    const intoGroup = await this.#outputs(groups, payload);
    // The outputs open before the inputs: whatever comes in finds its sinks open.
    if (readsGroup) await this.#openOutputs(groups, [...clients, ...outputs]);
    if (hasInputs) await this.#openInputs(intoGroup, streams, datagrams);
  }

  #requireGroup(target: Target): void {
    const { address, opener } = target;
    if (opener.meets?.(target)) return;
    const advice = 'use 224.0.0.0/4 or ff00::/8';
    throw failure('MPROXY_GROUP', NAMES.multicastAddr, address.text, 'not a multicast group', advice);
  }

  async #outputs(
    targets: Target[],
    given: number | undefined,
  ): Promise<{ outputs: Outputs; payload: number }> {
    const payload = await choosePayload(given, targets);
    return { outputs: new Outputs(this.program, targets, { payload, values: this.#values }), payload };
  }

  async #openOutputs(groups: Target[], targets: Target[]): Promise<void> {
    const { outputs, payload } = await this.#outputs(targets, this.#values.payload);
    const sinks = [
      ...(await outputs.open(undefined, groups[0]!.type)),
      ...(this.#values.hasInputs ? [] : this.#tee()),
    ];
    const values = { ...this.#values, allow: [] };
    const sources = (await openSources(this.program, groups, { payload, values })).flat();
    for (const source of sources)
      this.program.route(source, sinks, { last: true, shared: sources.length > 1 });
  }

  async #openInputs(
    { outputs, payload }: { outputs: Outputs; payload: number },
    streams: Target[],
    datagrams: Target[],
  ): Promise<void> {
    const context = { payload, values: this.#values };
    const fromStreams = await openSources(this.program, streams, context);
    for (const [i, { address }] of streams.entries())
      for (const source of fromStreams[i]!)
        this.program.route(source, [...(await outputs.open(frameOf(address))), ...this.#tee()]);
    const fromDatagrams = await openSources(this.program, datagrams, context);
    for (const [i, { type }] of datagrams.entries())
      for (const source of fromDatagrams[i]!)
        this.program.route(source, [...(await outputs.open(undefined, type)), ...this.#tee()]);
  }

  #tee(): Sink[] {
    const { tee, frame = 'lines' } = this.#values;
    return tee ? [stdoutSink(this.program, frame, false)] : [];
  }
}

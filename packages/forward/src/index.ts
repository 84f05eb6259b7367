import { usage } from 'mproxy-base';
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
import type { Frame } from 'mproxy-framing';
import { frameOf } from 'mproxy-net';
import { type ForwardOptions, NAMES, readOptions } from './options.js';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';
export type { ForwardOptions } from './options.js';

/**
 * Forwards UDP and multicast, and TCP and TLS upstreams, to UDP, TCP and TLS destinations.
 *
 * With `once`, `done` rejects with `MPROXY_UPSTREAM` if an upstream failed.
 */
export function startForward(options: ForwardOptions, signal?: AbortSignal): Handle {
  return startProgram(options, signal, (program) => new Forward(program, options).open());
}

class Forward {
  readonly #values: ReturnType<typeof readOptions>;

  constructor(
    private readonly program: Program,
    options: ForwardOptions,
  ) {
    this.#values = readOptions(options);
  }

  async open(): Promise<void> {
    const { engine } = this.program;
    const { udpListenAddr, udpDownstreamAddr, tcpConnectAddr } = this.#values;
    const [listens, downstreams, upstreams] = await Promise.all([
      resolveTargets(this.program, udpListenAddr, 'source'),
      resolveTargets(this.program, udpDownstreamAddr, 'sink'),
      resolveTargets(this.program, tcpConnectAddr, 'source'),
    ]);
    const group = upstreams.length > 0 ? listens.slice(0, 1).filter(isOwnGroup) : [];
    if (downstreams.length + group.length === 0 && !this.#values.tee)
      throw usage(NAMES.udpDownstreamAddr, 'missing', 'there is nowhere to send', `or use ${NAMES.tee}`);
    forbidLoops(listens, downstreams);
    // Only the first listener ignores what this command sends.
    forbidLoops(listens.slice(1), group);
    forbidTwins(engine, listens, downstreams);
    const payload = await choosePayload(this.#values.payload, [...downstreams, ...group]);
    const outputs = this.#outputs(downstreams, payload);
    const own = await this.#openUpstreams(upstreams, outputs, this.#outputs(group, payload), payload);
    await this.#openListens(listens, outputs, own, payload);
  }

  #outputs(targets: Target[], payload: number): Outputs {
    return new Outputs(this.program, targets, { payload, values: this.#values });
  }

  /** @returns how the command's own group recognises what is sent there */
  async #openUpstreams(
    upstreams: Target[],
    outputs: Outputs,
    group: Outputs,
    payload: number,
  ): Promise<unknown[]> {
    const { program } = this;
    const { once } = this.#values;
    const own: unknown[] = [];
    const runs: Promise<void>[] = [];
    const sources = await openSources(program, upstreams, { payload, values: this.#values });
    for (const [i, { address }] of upstreams.entries()) {
      const frame: Frame = frameOf(address);
      const toGroup = await group.open(frame);
      own.push(...toGroup.flatMap((sink) => sink.own ?? []));
      const sinks = [...(await outputs.open(frame)), ...toGroup, ...this.#tee()];
      for (const source of sources[i]!) runs.push(program.route(source, sinks));
    }
    if (once && runs.length > 0) void Promise.allSettled(runs).then(() => program.end());
    return own;
  }

  async #openListens(listens: Target[], outputs: Outputs, own: unknown[], payload: number): Promise<void> {
    const sources = await openSources(this.program, listens, { payload, values: this.#values });
    for (const source of sources[0] ?? []) for (const sender of own) source.ignore?.(sender);
    for (const [i, { type }] of listens.entries())
      for (const source of sources[i]!)
        this.program.route(source, [...(await outputs.open(undefined, type)), ...this.#tee()]);
  }

  #tee(): Sink[] {
    const { tee, frame = 'lines' } = this.#values;
    return tee ? [stdoutSink(this.program, frame, false)] : [];
  }
}

/** Whether the data of upstreams are sent there too. Where its own data would come back to it, it sends none. */
function isOwnGroup(target: Target): boolean {
  return target.type.ignoresOwn === true && (target.opener.meets?.(target) ?? false);
}

import type { Frame } from 'mproxy-framing';
import type { EndpointType, SinkContext, SourceContext, Target } from './endpoint.js';
import type { Program } from './program.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

/** The largest datagram that the original mproxy receives, in bytes. */
const MAX_PAYLOAD = 8096;

/** The size to which datagrams are filled: as given, else the largest that all targets take, at most 8096 bytes. */
export async function choosePayload(given: number | undefined, targets: readonly Target[]): Promise<number> {
  if (given !== undefined) return given;
  const payloads = await Promise.all(targets.map((target) => target.opener.payload?.(target) ?? MAX_PAYLOAD));
  return Math.min(MAX_PAYLOAD, ...payloads);
}

/** The sinks of some targets, opened for one route after the other. Types whose sinks are shared are opened once. */
export class Outputs {
  #shared: Promise<Sink[]> | undefined;

  constructor(
    private readonly program: Program,
    private readonly targets: readonly Target[],
    private readonly context: Omit<SinkContext, 'frame'>,
  ) {}

  /**
   * @param frame of the stream that the route's source is; undefined: its source has datagrams
   * @param from the type of the source
   */
  async open(frame?: Frame, from?: EndpointType): Promise<Sink[]> {
    const isShared = ({ opener }: Target) => opener.sharesSinks === true;
    const waits = from?.waits ?? frame !== undefined;
    const own = await this.#open(
      this.targets.filter((target) => !isShared(target)),
      { ...this.context, frame, waits },
    );
    this.#shared ??= this.#open(this.targets.filter(isShared), { ...this.context, frame });
    return [...own, ...(await this.#shared)];
  }

  async #open(targets: Target[], context: SinkContext): Promise<Sink[]> {
    const groups = byOpener(targets).map((group) =>
      group[0]!.opener.openSinks!(this.program, group, context),
    );
    return (await Promise.all(groups)).flat();
  }
}

/** Opens what a program listens on or connects to: the sources of each target, in order. */
export async function openSources(
  program: Program,
  targets: readonly Target[],
  context: SourceContext,
): Promise<Source[][]> {
  const opened: Source[][] = [];
  for (const target of targets) opened.push(await target.opener.openSources!(program, target, context));
  return opened;
}

/** Targets by the functions that open them. */
function byOpener(targets: Target[]): Target[][] {
  const opening = [...new Set(targets.map(({ opener }) => opener.openSinks))];
  return opening.map((open) => targets.filter(({ opener }) => opener.openSinks === open));
}

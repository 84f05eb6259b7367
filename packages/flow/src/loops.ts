import { failure, type MproxyError } from 'mproxy-base';
import type { Engine } from 'mproxy-net';
import { ENGINE_NAME } from 'mproxy-net/engine-flag';
import type { Target } from './endpoint.js';

/**
 * Refuses a command whose output feeds its own input, as their types say.
 * @throws MPROXY_LOOP, naming both
 */
export function forbidLoops(inputs: readonly Target[], outputs: readonly Target[]): void {
  for (const input of inputs) {
    for (const output of outputs) {
      if (!output.opener.feeds?.(output, input)) continue;
      throw loopError(output.address.text, input.address.text);
    }
  }
}

/** @returns MPROXY_LOOP, naming both */
export function loopError(output: string, input: string): MproxyError {
  return failure(
    'MPROXY_LOOP',
    'loop',
    output,
    `what is sent there comes back in by ${input}`,
    'use another address or port',
  );
}

/**
 * Refuses one group and port on two interfaces where the engine would deliver the datagrams of both, the
 * command's own included, to each listener.
 * @throws MPROXY_GROUP
 */
export function forbidTwins(engine: Engine, inputs: Target[], outputs: Target[] = []): void {
  if (engine.exactGroups) return;
  const seen = new Map<string, string | undefined>();
  for (const { address, answers } of [...inputs, ...outputs]) {
    for (const { ip, port, interface: on } of answers.filter((answer) => answer.interface)) {
      const group = `${ip} ${port}`;
      const received = inputs.some((input) =>
        input.answers.some((into) => into.ip === ip && into.port === port),
      );
      if (received && seen.has(group) && seen.get(group) !== on?.name) {
        const why = `one group and port on two interfaces: the ${engine.name} engine cannot keep them apart`;
        throw failure('MPROXY_GROUP', 'group', address.text, why, `this needs ${ENGINE_NAME} linux`);
      }
      seen.set(group, on?.name);
    }
  }
}

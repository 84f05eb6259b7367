import { failure, MproxyError } from 'mproxy-base';
import type { Answer } from 'mproxy-net';
import {
  type Address,
  broadcastAddresses,
  type Engine,
  isGroup,
  isWildcard,
  listInterfaces,
} from 'mproxy-net';

/** An address of the command line with its resolved answers. */
export interface Resolved {
  address: Address;
  answers: Answer[];
}

/**
 * Refuses a command whose output feeds its own input: the ports are equal, and the input is the output's
 * address, or a wildcard where the output is a group, a broadcast address or an address of this host.
 * @throws MPROXY_LOOP, naming both
 */
export function forbidLoops(inputs: Resolved[], outputs: Resolved[]): void {
  for (const input of inputs) {
    for (const output of outputs) {
      if (!input.answers.some((into) => output.answers.some((out) => feeds(out, into)))) continue;
      throw new MproxyError(
        'MPROXY_LOOP',
        `loop: ${output.address.text}: what is sent there comes back in by ${input.address.text}; use another port`,
      );
    }
  }
}

/**
 * Refuses one group and port on two interfaces where the engine would deliver the datagrams of both, the
 * command's own included, to each listener.
 * @throws MPROXY_GROUP
 */
export function forbidTwins(engine: Engine, inputs: Resolved[], outputs: Resolved[] = []): void {
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
        throw failure('MPROXY_GROUP', 'group', address.text, why, 'this needs --engine linux');
      }
      seen.set(group, on?.name);
    }
  }
}

function feeds(output: Answer, input: Answer): boolean {
  if (output.port !== input.port) return false;
  // A group's interface may be written as its zone.
  if (output.ip === input.ip) {
    return (output.interface?.name ?? output.zone) === (input.interface?.name ?? input.zone);
  }
  // A datagram to a wildcard address goes to this host (ip(7): INADDR_ANY; RFC 1122, 3.2.1.3).
  if (isWildcard(output.ip) && !isWildcard(input.ip))
    return output.family === input.family && reachesThisHost(input.ip);
  if (!isWildcard(input.ip)) return false;
  // [::] receives IPv4 too; 0.0.0.0 does not receive IPv6.
  if (output.family === 6 && input.family === 4) return false;
  return isGroup(output.ip) || reachesThisHost(output.ip);
}

function reachesThisHost(ip: string): boolean {
  if (isWildcard(ip) || ip.startsWith('127.') || broadcastAddresses().includes(ip)) return true;
  return listInterfaces().some((one) => one.addresses.some(({ address }) => address === ip));
}

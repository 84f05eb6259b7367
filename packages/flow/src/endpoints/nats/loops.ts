import { loopError } from '../../loops.js';
import type { Program } from '../../program.js';
import type { NatsAddress } from './address.js';
import type { Action } from './client.js';
import type { ServerInfo } from './info.js';
import { isSame } from './servers.js';
import { matches } from './subject.js';

/**
 * Finds outputs of a program that feed its inputs by what their servers say of themselves: two addresses may name one server, or
 * two of a cluster.
 */
export class Loops {
  readonly #clients = new Map<string, { address: NatsAddress; action: Action; info: ServerInfo }>();

  constructor(private readonly program: Program) {}

  /** @returns a function that takes what each server of a client says; it throws MPROXY_LOOP, and ends the program */
  check(address: NatsAddress, action: Action): (info: ServerInfo) => void {
    return (info) => {
      const { text } = address;
      this.#clients.set(`${action} ${text}`, { address, action, info });
      for (const other of this.#clients.values()) {
        // What is sent to a group comes back from it: that of a program is one address.
        if (other.action === action || other.address === address || !areConnected(other.info, info)) continue;
        const [output, input] = action === 'sending' ? [address, other.address] : [other.address, address];
        if (matches(input.subject, output.subject)) this.#end(output, input);
      }
    };
  }

  #end(output: NatsAddress, input: NatsAddress): never {
    const error = loopError(output.text, input.text);
    this.program.failBy(error);
    void this.program.end();
    throw error;
  }
}

/** Names of clusters are not unique: two that are one name a common server. */
function areConnected(one: ServerInfo, other: ServerInfo): boolean {
  if (one.id !== '' && one.id === other.id) return true;
  const areNamed = one.cluster !== '' && one.cluster === other.cluster;
  return areNamed && one.urls.some((url) => other.urls.some((known) => isSame(url, known)));
}

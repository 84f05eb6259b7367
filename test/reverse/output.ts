import type { Test } from 'tap';
import { start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';

/** A reverse with one TCP listener for clients, its group and its port. */
export async function startOutput(t: Test, ...more: string[]) {
  const group = await loopbackGroup();
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', group.address, '--tcp-output-addr', '127.0.0.1:0', '--stats', '0.1', ...more],
  ]);
  return { group, reverse, port: await reverse.port() };
}

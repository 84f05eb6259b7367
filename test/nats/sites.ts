import type { Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { type Host, lan, noNamespaces } from '../support/namespace.js';
import { NatsServer, noServer } from './server.js';

/** Why sites cannot be made here; false where they can. */
export const noSites = noServer || noNamespaces;

/** Two sites and a NATS server between them, each a host on one LAN. */
export interface Sites {
  server: NatsServer;
  near: Host;
  far: Host;
  /** Breaks the link of the far site, or repairs it. */
  setLink(state: 'up' | 'down'): void;
}

export async function twoSites(t: Test, config = ''): Promise<Sites> {
  const { bridge, hosts } = lan(t, 3);
  const [near, between, far] = hosts as [Host, Host, Host];
  const server = await NatsServer.start(t, { config, on: { host: between, address: '10.77.0.2' } });
  // At the switch, as the host would drop its routes.
  return { server, near, far, setLink: (state) => void bridge.ip('link', 'set', 'port3', state) };
}

/** What carries data from the near site to the far one. */
export interface Chain {
  /** Takes the data on its stdin, at 40 Mbps. */
  client: Running;
  forward: Running;
  reverse: Running;
  /** Has what arrived on its stdout. */
  last: Running;
}

/** Starts a forward at the near site and a reverse at the far site, with an address in the middle that both use. */
export async function startChain(t: Test, { near, far }: Sites, middle: string): Promise<Chain> {
  const [here, there] = [{ namespace: near.name }, { namespace: far.name }];
  const last = start(t, 'server', ['--path', '-', '--listen-addr', '127.0.0.1:0'], there);
  const to = ['--udp-output-addr', `127.0.0.1:${await last.port()}`];
  const reverse = start(t, 'reverse', ['--multicast-addr', middle, ...to], there);
  await reverse.says(/connected to|listening: group/);
  const from = ['--udp-listen-addr', '127.0.0.1:0'];
  const forward = start(t, 'forward', [...from, '--udp-downstream-addr', middle], here);
  await forward.says(/connected to|sending: group/);
  const entry = `127.0.0.1:${await forward.port()}`;
  const pace = ['--rate', '40Mbps', '--payload', '1400'];
  const client = start(t, 'client', ['--path', '-', '--server-addr', entry, ...pace], here);
  return { client, forward, reverse, last };
}

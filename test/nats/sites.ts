import { fileURLToPath } from 'node:url';
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
  /** Breaks the link of a site, or repairs it. */
  setLink(site: 'near' | 'far', state: 'up' | 'down'): void;
}

export async function twoSites(t: Test, config = ''): Promise<Sites> {
  const { bridge, hosts } = lan(t, 3);
  const [near, between, far] = hosts as [Host, Host, Host];
  const server = await NatsServer.start(t, { config, on: { host: between, address: '10.77.0.2' } });
  // At the switch, as the host would drop its routes.
  const setLink: Sites['setLink'] = (site, state) =>
    void bridge.ip('link', 'set', site === 'near' ? 'port1' : 'port3', state);
  return { server, near, far, setLink };
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

/** From a file of the near site to one of the far site. */
export interface StreamChain {
  client: Running;
  forward: Running;
  last: Running;
}

/** Starts a client and a forward at the near site, and a server at the far site that reads their packets from a stream. */
export async function startStreamChain(
  t: Test,
  { server, near, far }: Sites,
  { input, output }: { input: string; output: string },
): Promise<StreamChain> {
  const [here, there] = [{ namespace: near.name }, { namespace: far.name }];
  const addStream = fileURLToPath(new URL('./add-stream.js', import.meta.url));
  near.run(process.execPath, addStream, `${server.address}:${server.port}`, 'S', 'a');
  const url = `${server.url('a')},stream=S`;
  const whole = ['--from-start', '--once', '--repair-timeout', '1m'];
  const last = start(t, 'server', ['--path', output, '--listen-addr', `${url},frame=mold`, ...whole], there);
  await last.says('connected to');
  const forward = start(
    t,
    'forward',
    ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', url],
    here,
  );
  await forward.says('connected to');
  const entry = `127.0.0.1:${await forward.port()},frame=mold`;
  const client = start(t, 'client', ['--path', input, '--server-addr', entry, '--rate', '40Mbps'], here);
  return { client, forward, last };
}

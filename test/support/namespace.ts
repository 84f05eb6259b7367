import { execFileSync } from 'node:child_process';
import type { Test } from 'tap';

/** Why namespaces cannot be made here; false where they can. For `skip`. */
export const noNamespaces: string | false = (() => {
  if (process.platform !== 'linux') return 'network namespaces are Linux';
  if (process.getuid?.() !== 0) return 'making network namespaces needs root';
  try {
    execFileSync('ip', ['-V'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'ip (iproute2) is not installed';
  }
})();

let made = 0;

/** A host of the test's own: a network namespace with its loopback up. The test deletes it. */
export class Host {
  readonly name = `mp${process.pid}-${made++}`;

  constructor(t: Test) {
    ip('netns', 'add', this.name);
    t.teardown(() => ip('netns', 'del', this.name));
    this.ip('link', 'set', 'lo', 'up');
  }

  /** Runs `ip` inside. */
  ip(...args: string[]): string {
    return ip('-n', this.name, ...args);
  }

  /** Runs a program inside, and returns what it printed. */
  run(file: string, ...args: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, file, ...args], { encoding: 'utf8' });
  }
}

/**
 * A LAN: hosts on one bridge, host n with eth0 at 10.77.0.n/24 and fd77::n/64, n from 1. The bridge stands in a
 * namespace of its own and floods groups to all ports, as a switch without IGMP snooping does.
 */
export function lan(t: Test, count: number): { bridge: Host; hosts: Host[] } {
  const bridge = new Host(t);
  bridge.ip('link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
  bridge.ip('link', 'set', 'br0', 'up');
  const hosts = Array.from({ length: count }, (_, i) => {
    const host = new Host(t);
    plug(bridge, host, i + 1);
    return host;
  });
  return { bridge, hosts };
}

/** Gives a host its eth0, on a port of the bridge; again after it was deleted, also with an index of choice. */
export function plug(bridge: Host, host: Host, number: number, index?: string): void {
  const chosen = index === undefined ? [] : ['index', index];
  // The same MAC address every time: what other hosts have learnt stays right.
  const mac = ['address', `02:77:00:00:00:${number.toString(16).padStart(2, '0')}`];
  const peer = ['peer', 'name', `port${number}`, 'netns', bridge.name];
  host.ip('link', 'add', 'eth0', ...chosen, ...mac, 'type', 'veth', ...peer);
  bridge.ip('link', 'set', `port${number}`, 'master', 'br0', 'up');
  host.run('sysctl', '-qw', 'net.ipv6.conf.eth0.accept_dad=0');
  host.ip('addr', 'add', `10.77.0.${number}/24`, 'dev', 'eth0');
  host.ip('addr', 'add', `fd77::${number}/64`, 'dev', 'eth0', 'nodad');
  host.ip('link', 'set', 'eth0', 'up');
  // The kernel makes the link-local address somewhat later.
  const address = () => host.ip('-6', 'addr', 'show', 'dev', 'eth0', 'scope', 'link');
  for (let tries = 0; tries < 1000 && !address().includes('fe80::'); tries++);
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

import { execFileSync } from 'node:child_process';

/** Prefix of the network namespaces. */
const PREFIX = `mpbench${process.pid}-`;
const namespaces = new Set<string>();

/** Why hosts cannot be created here; undefined if they can. */
export function noHosts(...tools: string[]): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are Linux';
  if (process.getuid?.() !== 0) return 'making network namespaces needs root';
  for (const tool of ['ip', ...tools]) {
    try {
      execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' });
    } catch {
      return `${tool} is not installed`;
    }
  }
  return undefined;
}

/**
 * Network namespaces as hosts on one bridge: host n, from 1, has eth0 with 10.77.0.n. The bridge has its own
 * namespace and floods multicast to all ports.
 */
export class Hosts {
  readonly #bridge: string;
  readonly #names: string[];

  constructor(count: number) {
    this.#bridge = addNamespace('0');
    ip('-n', this.#bridge, 'link', 'add', 'br0', 'up', 'type', 'bridge', 'mcast_snooping', '0');
    this.#names = Array.from({ length: count }, (_, i) => this.#attach(i + 1));
  }

  /** The command line that runs a command on host n. */
  on(n: number, argv: string[]): string[] {
    return ['ip', 'netns', 'exec', this.#name(n), ...argv];
  }

  /** Drops a part of the UDP datagrams that a host receives and sends; 0 to 1. */
  lose(n: number, part: number): void {
    for (const chain of part > 0 ? ['INPUT', 'OUTPUT'] : []) {
      const random = ['-m', 'statistic', '--mode', 'random', '--probability', `${part}`];
      this.#run(n, 'iptables', '-A', chain, '-p', 'udp', ...random, '-j', 'DROP');
    }
  }

  /** Bytes that a host has sent, with Ethernet headers. */
  sent(n: number): number {
    return Number(this.#run(n, 'cat', '/sys/class/net/eth0/statistics/tx_bytes'));
  }

  /** UDP sockets of a host on a port. */
  sockets(n: number, port: number): number {
    const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
    return this.#run(n, 'cat', '/proc/net/udp').split(wanted).length - 1;
  }

  remove(): void {
    for (const name of [this.#bridge, ...this.#names]) deleteNamespace(name);
  }

  #name(n: number): string {
    return this.#names[n - 1]!;
  }

  #run(n: number, ...argv: string[]): string {
    const [file, ...args] = this.on(n, argv);
    return execFileSync(file!, args, { encoding: 'utf8' });
  }

  #attach(n: number): string {
    const name = addNamespace(`${n}`);
    const peer = ['peer', 'name', `port${n}`, 'netns', this.#bridge];
    ip('-n', name, 'link', 'add', 'eth0', 'type', 'veth', ...peer);
    ip('-n', this.#bridge, 'link', 'set', `port${n}`, 'master', 'br0', 'up');
    ip('-n', name, 'addr', 'add', `10.77.0.${n}/24`, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    return name;
  }
}

/**
 * A network namespace with only a loopback interface, which is the route to a group: a program that joins the
 * group with INADDR_ANY (ip(7)) then joins on loopback.
 */
export class LoopbackHost {
  readonly #name = addNamespace('lo');
  /** Command prefix that runs a program in it. */
  readonly prefix = ['ip', 'netns', 'exec', this.#name];

  constructor(group: string) {
    ip('-n', this.#name, 'route', 'add', group, 'dev', 'lo');
  }

  remove(): void {
    deleteNamespace(this.#name);
  }
}

/** Removes all remaining namespaces. */
export function removeHosts(): void {
  for (const name of namespaces) deleteNamespace(name);
}

function addNamespace(suffix: string): string {
  const name = `${PREFIX}${suffix}`;
  ip('netns', 'add', name);
  namespaces.add(name);
  ip('-n', name, 'link', 'set', 'lo', 'up');
  return name;
}

function deleteNamespace(name: string): void {
  if (namespaces.delete(name)) ip('netns', 'del', name);
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

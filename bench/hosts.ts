import { execFileSync } from 'node:child_process';

/** Of their own, so that nothing that is sent in them leaves them. */
const NAME = `mpbench${process.pid}-`;
const made = new Set<string>();

/** Why no hosts can be made here; undefined where they can. */
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
 * Hosts on one bridge: network namespaces, host n with eth0 at 10.77.0.n, n from 1. The bridge stands in a namespace of
 * its own, and floods groups to all its ports.
 */
export class Hosts {
  readonly #bridge: string;
  readonly #names: string[];

  constructor(count: number) {
    this.#bridge = make('0');
    ip('-n', this.#bridge, 'link', 'add', 'br0', 'up', 'type', 'bridge', 'mcast_snooping', '0');
    this.#names = Array.from({ length: count }, (_, i) => this.#plug(i + 1));
  }

  /** Makes a command one that runs on host n. */
  on(n: number, argv: string[]): string[] {
    return ['ip', 'netns', 'exec', this.#name(n), ...argv];
  }

  /** Has a host lose a part of all UDP that it receives, and of all that it sends; 0 to 1. */
  lose(n: number, part: number): void {
    for (const chain of part > 0 ? ['INPUT', 'OUTPUT'] : []) {
      const random = ['-m', 'statistic', '--mode', 'random', '--probability', `${part}`];
      this.#run(n, 'iptables', '-A', chain, '-p', 'udp', ...random, '-j', 'DROP');
    }
  }

  /** Bytes that a host has sent, Ethernet headers with them. */
  sent(n: number): number {
    return Number(this.#run(n, 'cat', '/sys/class/net/eth0/statistics/tx_bytes'));
  }

  /** UDP sockets of a host on a port. */
  sockets(n: number, port: number): number {
    const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
    return this.#run(n, 'cat', '/proc/net/udp').split(wanted).length - 1;
  }

  remove(): void {
    for (const name of [this.#bridge, ...this.#names]) remove(name);
  }

  #name(n: number): string {
    return this.#names[n - 1]!;
  }

  #run(n: number, ...argv: string[]): string {
    const [file, ...args] = this.on(n, argv);
    return execFileSync(file!, args, { encoding: 'utf8' });
  }

  #plug(n: number): string {
    const name = make(`${n}`);
    const peer = ['peer', 'name', `port${n}`, 'netns', this.#bridge];
    ip('-n', name, 'link', 'add', 'eth0', 'type', 'veth', ...peer);
    ip('-n', this.#bridge, 'link', 'set', `port${n}`, 'master', 'br0', 'up');
    ip('-n', name, 'addr', 'add', `10.77.0.${n}/24`, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    return name;
  }
}

/**
 * A network namespace without any interface but loopback, which is the route to a group: there a program that joins the
 * group on the interface of the route (INADDR_ANY, ip(7)) joins it on loopback.
 */
export class LoopbackHost {
  readonly #name = make('lo');
  /** What a command line starts with to run there. */
  readonly prefix = ['ip', 'netns', 'exec', this.#name];

  constructor(group: string) {
    ip('-n', this.#name, 'route', 'add', group, 'dev', 'lo');
  }

  remove(): void {
    remove(this.#name);
  }
}

/** Removes all hosts that are still there. */
export function removeHosts(): void {
  for (const name of made) remove(name);
}

function make(suffix: string): string {
  const name = `${NAME}${suffix}`;
  ip('netns', 'add', name);
  made.add(name);
  ip('-n', name, 'link', 'set', 'lo', 'up');
  return name;
}

function remove(name: string): void {
  if (made.delete(name)) ip('netns', 'del', name);
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

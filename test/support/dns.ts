import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { command, type Name, type Running, type RunOptions, startProgram } from './command.js';

/** Why no name server can be put in the place of the system's; false where it can. For `skip`. */
export const noNameServer: string | false = (() => {
  if (process.platform !== 'linux') return 'resolv.conf is mounted over by Linux alone';
  if (process.getuid?.() !== 0) return 'mounting over resolv.conf needs root';
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'unshare (util-linux) cannot make a mount namespace';
  }
})();

let made = 0;

/** A name server on a loopback address of its own, and programs that know no other. */
export class NameServer {
  /** IPv4 addresses by name, '' where there is no such name; what is not here is never answered for. */
  readonly hosts = new Map<string, string>();
  /** Names that were asked for, in order. */
  readonly asked: string[] = [];
  readonly #socket = createSocket('udp4');
  readonly #address = `127.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}.${++made}`;
  readonly #folder = mkdtempSync(join(tmpdir(), 'mproxy-dns-'));
  readonly #conf = join(this.#folder, 'resolv.conf');

  constructor(private readonly t: Test) {
    writeFileSync(this.#conf, `nameserver ${this.#address}\n`);
    this.#socket.on('message', (query, { port, address }) => {
      const reply = this.#answer(query);
      if (reply) this.#socket.send(reply, port, address);
    });
    t.teardown(() => {
      this.#socket.close();
      rmSync(this.#folder, { recursive: true });
    });
  }

  async up(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.once('error', reject);
      // resolv.conf(5) has no way to name a port.
      this.#socket.bind(53, this.#address, resolve);
    });
    return this;
  }

  /** Starts one of the four commands, for which this is the name server. */
  start(name: Name, args: string[], options: RunOptions = {}): Running {
    return this.run(command(name, args), options);
  }

  /** Starts any program so. */
  run(program: string[], options: RunOptions = {}): Running {
    const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
    return startProgram(this.t, 'unshare', ['--mount', 'sh', '-c', script, this.#conf, ...program], options);
  }

  /** RFC 1035, section 4.1: one question, answered by an A record, or by none for another type. */
  #answer(query: Buffer): Buffer | undefined {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join('.');
    this.asked.push(name);
    const ip = this.hosts.get(name);
    if (ip === undefined) return undefined;
    const isA = ip !== '' && query.readUInt16BE(at + 1) === 1;
    const head = Buffer.from(query.subarray(0, at + 5));
    head.writeUInt16BE(ip === '' ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(isA ? 1 : 0, 6);
    head.fill(0, 8, 12);
    // Name as in the question, type A, class IN, time to live 0, 4 bytes.
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...ip.split('.').map(Number)]);
    return isA ? Buffer.concat([head, record]) : head;
  }
}

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, constants, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import { executable, type Name, type Running, startProgram } from '../support/command.js';
import { Host, noNamespaces } from '../support/namespace.js';
import { until } from '../support/wait.js';

export const NAMES: Name[] = ['client', 'server', 'forward', 'reverse', 'gateway'];

/** Why a bare machine cannot be made here; false where it can. For `skip`. */
export const noBareMachine: string | false =
  noNamespaces || (isThere('nsenter') && isThere('chroot') ? false : 'nsenter or chroot is not installed');

/** The user and group nobody (Debian). */
const NOBODY = '65534:65534';

/**
 * A machine that has nothing: a root with the executables, the C and C++ libraries, /proc and an empty /tmp, and a
 * network of a loopback interface alone. It is read-only, but for /tmp where that is asked for.
 */
export class BareMachine {
  readonly #root = mkdtempSync(join(tmpdir(), 'mproxy-bare-'));
  readonly #holder: ChildProcess;
  #ready = false;

  constructor(
    private readonly t: Test,
    options: { writable: boolean; noexec?: boolean },
  ) {
    t.teardown(() => rmSync(this.#root, { recursive: true }));
    this.#fill();
    const host = new Host(t);
    const flags = options.noexec ? ',noexec' : '';
    const mounts = [
      'mount --bind "$1" "$1"',
      'mount --bind /proc "$1/proc"',
      ...(options.writable ? [`mount -t tmpfs -o mode=1777,size=400m${flags} none "$1/tmp"`] : []),
      'mount -o remount,bind,ro "$1"',
    ];
    // Ends, and its mounts with it, when the pipe to it does.
    const script = `${mounts.join(' && ')} && echo ready && read -r _`;
    const inside = ['netns', 'exec', host.name, 'unshare', '--mount', 'sh', '-c', script, 'sh', this.#root];
    this.#holder = spawn('ip', inside, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#holder.stdout?.once('data', () => {
      this.#ready = true;
    });
    t.teardown(async () => {
      const { exitCode } = this.#holder;
      this.#holder.stdin?.end();
      if (exitCode === null) await new Promise((resolve) => this.#holder.once('exit', resolve));
    });
  }

  async up(): Promise<void> {
    await until('the root is mounted', () => this.#ready || this.#holder.exitCode !== null);
    if (!this.#ready) throw new Error(`mounting failed with ${this.#holder.exitCode}`);
  }

  /** Starts one of them as nobody, with nothing in its environment. */
  start(name: Name, args: string[]): Running {
    const enter = [`--target=${this.#holder.pid}`, '--mount', '--net', '--'];
    const alone = ['env', '-i', '/usr/sbin/chroot', `--userspec=${NOBODY}`, '--groups=', this.#root];
    return startProgram(this.t, 'nsenter', [...enter, ...alone, `/mproxy-${name}`, ...args]);
  }

  /** A path inside as it is from outside. */
  path(inside: string): string {
    return `/proc/${this.#holder.pid}/root${this.#root}${inside}`;
  }

  /** What is in /tmp. */
  get litter(): string[] {
    return readdirSync(this.path('/tmp'));
  }

  #fill(): void {
    chmodSync(this.#root, 0o755);
    for (const empty of ['proc', 'tmp']) mkdirSync(join(this.#root, empty));
    for (const name of NAMES) {
      copyFileSync(executable(name), join(this.#root, `mproxy-${name}`), constants.COPYFILE_FICLONE);
    }
    for (const library of libraries()) {
      mkdirSync(dirname(join(this.#root, library)), { recursive: true });
      copyFileSync(library, join(this.#root, library));
    }
  }
}

/** What the dynamic linker loads for the executables, itself with it (ldd(1)). */
function libraries(): string[] {
  const text = execFileSync('ldd', [executable('client')], { encoding: 'utf8' });
  return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]!);
}

function isThere(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

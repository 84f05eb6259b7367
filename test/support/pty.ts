import { spawnSync } from 'node:child_process';
import type { Test } from 'tap';
import { type Running, startProgram } from './command.js';
import { until } from './wait.js';

export const noPty =
  spawnSync('python3', ['-c', 'import pty']).status !== 0 &&
  'python3, which makes pseudo-terminals, is missing';

/** Holds both ends of a pseudo-terminal: prints the path of its slave, then what comes out of its master. */
const HOLDER = `
import os, sys, termios, threading
master, slave = os.openpty()
if 'plain' in sys.argv:
    mode = termios.tcgetattr(slave)
    mode[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, mode)
path = os.ttyname(slave)
if 'alone' in sys.argv:
    os.close(slave)
print(path, flush=True)
def copy():
    while True:
        try:
            os.write(1, os.read(master, 65536))
        except OSError:
            threading.Event().wait(0.01)
threading.Thread(target=copy, daemon=True).start()
for line in sys.stdin:
    os.write(master, bytes.fromhex(line))
os._exit(0)
`;

/** A pseudo-terminal (pty(7)): a test is the person, or the device, at its other end. */
export class Pty {
  private constructor(
    readonly path: string,
    private readonly holder: Running,
  ) {}

  /**
   * @param how `plain`: what is written to it comes out as it is, not with CR LF for LF; `alone`: only the program that
   * is tested has its slave open
   */
  static async open(t: Test, ...how: ('plain' | 'alone')[]): Promise<Pty> {
    const holder = startProgram(t, 'python3', ['-c', HOLDER, ...how]);
    await until('its path', () => holder.stdout.includes('\n'));
    return new Pty(String(holder.stdout).split('\n')[0]!, holder);
  }

  /** What was written to it. */
  get output(): Buffer {
    return this.holder.stdout.subarray(this.path.length + 1);
  }

  /** Keys that are typed, or bytes that a device sends; a write(2) of each call. */
  type(bytes: Buffer | string): void {
    this.holder.child.stdin!.write(`${Buffer.from(bytes).toString('hex')}\n`);
  }

  /** Ctrl-S, as it works at once: nothing that is written later comes out (XOFF). */
  stop(): void {
    this.type('\x13');
  }

  /** Ctrl-Q. */
  go(): void {
    this.type('\x11');
  }

  /** The other end is gone: the terminal is closed, the device unplugged. */
  async unplug(): Promise<void> {
    await this.holder.kill();
  }
}

/** The command line that runs another with its stdout (1) or stderr (2) on a terminal; the other stays a pipe. */
export function onTerminal({ path }: Pty, fd: 1 | 2, command: string[]): [string, string[]] {
  return ['sh', ['-c', `terminal=$1; shift; exec "$@" ${fd}>"$terminal"`, 'sh', path, ...command]];
}

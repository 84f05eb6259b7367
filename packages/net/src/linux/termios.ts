import { systemError } from './errno.js';
import type { Libc } from './libc.js';

/**
 * struct termios2 of x86-64 and arm64, <asm-generic/termbits.h>: four flag words, c_line, c_cc[19], c_ispeed,
 * c_ospeed. Speeds are numbers, where struct termios has codes for a fixed set (ioctl_tty(2)).
 */
const TERMIOS = { size: 44, input: 0, control: 8, local: 12, characters: 17, inSpeed: 36, outSpeed: 40 };
// <asm-generic/ioctls.h>: _IOR('T', 0x2A, struct termios2), _IOW('T', 0x2B, struct termios2)
const TCGETS2 = 0x802c542a;
const TCSETS2 = 0x402c542b;

// <asm-generic/termbits.h>, termios(3)
const VTIME = 5;
const VMIN = 6;
/** IGNBRK, BRKINT, PARMRK, ISTRIP, INLCR, IGNCR, ICRNL, IUCLC, IXON. */
const INPUT_OFF = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o1000 | 0o2000;
/** ISIG, ICANON, ECHO, ECHONL, IEXTEN. */
const LOCAL_OFF = 0o1 | 0o2 | 0o10 | 0o100 | 0o100000;
/** CSIZE, PARENB. */
const CONTROL_OFF = 0o60 | 0o400;
/** CS8, CREAD, CLOCAL: without CLOCAL, a device without a modem appears hung up. */
const CONTROL_ON = 0o60 | 0o200 | 0o4000;
/** CBAUD, and its input counterpart (IBSHIFT), where 0 means the same speed. */
const SPEEDS_OFF = 0o10017 | (0o10017 << 16);
/** BOTHER: the speed is a number. */
const ANY_SPEED = 0o10000;
/** Speeds with a code, as older tools need: B50 to B38400 from 1, B57600 to B4000000 after ANY_SPEED. */
const SLOW = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400];
const FAST = [57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600];
const FASTEST = [1e6, 1.152e6, 1.5e6, 2e6, 2.5e6, 3e6, 3.5e6, 4e6];
const CODES = new Map([
  ...SLOW.map((speed, i) => [speed, i] as const),
  ...[...FAST, ...FASTEST].map((speed, i) => [speed, ANY_SPEED + 1 + i] as const),
]);
/** Permitted relative deviation of the actual speed, as in the kernel (drivers/tty/tty_baudrate.c). */
const TOLERANCE = 0.02;

/** @see Engine.makeRaw */
export function makeRaw(libc: Libc, fd: number, baud?: number): () => void {
  const before = Buffer.alloc(TERMIOS.size);
  request(libc, fd, TCGETS2, before);
  request(libc, fd, TCSETS2, rawMode(before, baud));
  const set = Buffer.alloc(TERMIOS.size);
  request(libc, fd, TCGETS2, set);
  const speed = set.readUInt32LE(TERMIOS.inSpeed);
  if (baud !== undefined && Math.abs(speed - baud) > TOLERANCE * baud) {
    libc.ioctl(fd, TCSETS2, before);
    throw new Error(`it does not take ${baud} baud; the nearest is ${speed}`);
  }
  // Fails if the device is gone; nothing to restore then.
  return () => void libc.ioctl(fd, TCSETS2, before);
}

/** As cfmakeraw(3) for input. The output flags are kept, as other programs may write to the terminal. */
function rawMode(mode: Buffer, baud: number | undefined): Buffer {
  const raw = Buffer.from(mode);
  const change = (at: number, off: number, on = 0) =>
    raw.writeUInt32LE(((raw.readUInt32LE(at) & ~off) | on) >>> 0, at);
  change(TERMIOS.input, INPUT_OFF);
  change(TERMIOS.local, LOCAL_OFF);
  change(TERMIOS.control, CONTROL_OFF, CONTROL_ON);
  raw[TERMIOS.characters + VMIN] = 1;
  raw[TERMIOS.characters + VTIME] = 0;
  if (baud === undefined) return raw;
  change(TERMIOS.control, SPEEDS_OFF, CODES.get(baud) ?? ANY_SPEED);
  raw.writeUInt32LE(baud, TERMIOS.inSpeed);
  raw.writeUInt32LE(baud, TERMIOS.outSpeed);
  return raw;
}

function request(libc: Libc, fd: number, which: number, mode: Buffer): void {
  if (libc.ioctl(fd, which, mode) !== 0) throw systemError(libc.errno(), 'ioctl');
}

import { duration, flagName, integer, size, text, toggle, usage } from 'mproxy-base';

/** The largest datagram with its newline fits. */
const ROTATE_SIZE = { min: 64 * 1024, max: Number.MAX_SAFE_INTEGER, why: 'less than 64KiB' };

/** Flags of a file, FIFO or device that is read. */
export const READ = {
  follow: toggle({
    help: 'go on at the end of the file, as tail -F: wait for it, survive truncation and rotation',
  }),
  fromEnd: toggle({ help: 'with --follow: begin at the end of the file' }),
  baud: integer(1, 100_000_000, {
    value: 'BAUD',
    help: 'speed of a serial device given by --path; default its present one',
  }),
};

/** Flags of rotation. */
export const ROTATION = {
  rotateSize: size(
    { help: 'rotate a file before a datagram would make it larger than this, at least 64KiB' },
    ROTATE_SIZE,
  ),
  rotateEvery: rotateEvery(),
  keep: integer(1, Number.MAX_SAFE_INTEGER, { help: 'keep this many rotated files of each; default all' }),
  gzip: toggle({ help: 'compress rotated files, in the background' }),
};

/** The mode of files that are made. */
export const FILE_MODE = fileMode();

/** Rejects flags that need rotation, without it. @throws MPROXY_USAGE */
export function checkRotation({ rotateSize, rotateEvery, keep, gzip }: Record<string, unknown>): void {
  const unused = keep !== undefined ? 'keep' : gzip ? 'gzip' : undefined;
  if (!unused || rotateSize !== undefined || rotateEvery !== undefined) return;
  const name = (key: keyof typeof ROTATION) => flagName(key, ROTATION[key]);
  const advice = `give ${name('rotateSize')} or ${name('rotateEvery')}`;
  throw usage(name(unused), '', 'nothing is rotated', advice);
}

function rotateEvery() {
  const flag = duration({
    help: 'rotate a file that is not empty by the clock: 1h is on the hour, 24h at midnight',
  });
  const read: typeof flag.read = (given, name, before) => {
    const ms = flag.read(given, name, before);
    if (ms !== undefined && ms < 1000) throw usage(name, String(given), 'less than 1s');
    return ms;
  };
  return { ...flag, read };
}

function fileMode() {
  const flag = text({ value: 'MODE', help: 'octal mode of files that it makes; default 0666 less umask' });
  const read = (given: number | string | undefined, name: string) => {
    if (given === undefined) return undefined;
    const mode = typeof given === 'number' ? given.toString(8) : given;
    if (!/^0?[0-7]{1,3}$/.test(mode)) throw usage(name, mode, 'not an octal mode', 'use one like 0640');
    return Number.parseInt(mode, 8);
  };
  return { ...flag, read };
}

import { spawnSync } from 'node:child_process';

/** A device that does not answer must not hold the program up for good. */
const LONGEST_MS = 5000;
/** Output that waits behind flow control holds stty up: a stop does not wait for that. */
const RESTORE_MS = 300;
/** Byte for byte, as cfmakeraw(3) has it for the input: `raw` would change the output, which others may write, too. */
const RAW =
  '-ignbrk -brkint -parmrk -istrip -inlcr -igncr -icrnl -ixon -isig -icanon -echo -echonl -iexten cs8 -parenb clocal cread min 1 time 0';

/** @see Engine.makeRaw. By stty(1), which Node has no call for. */
export function makeRaw(fd: number, baud?: number): () => void {
  const before = stty(fd, ['-g']);
  const speed = baud === undefined ? [] : [String(baud)];
  // Of a device that is gone there is nothing to restore.
  const restore = () => void run(fd, [before], RESTORE_MS);
  try {
    stty(fd, [...RAW.split(' '), ...speed]);
  } catch (error) {
    // It sets what it can, and then fails for the rest.
    restore();
    throw error;
  }
  return restore;
}

/** @throws with what stty says */
function stty(fd: number, args: string[]): string {
  const { error, status, stdout, stderr } = run(fd, args);
  if (error) throw new Error(`stty, which sets its mode, cannot be run (${error.message})`, { cause: error });
  if (status !== 0) throw new Error(stderr.trim().replace(/\s*\n\s*/g, ' '));
  return stdout.trim();
}

/** The terminal is its stdin: flags that name one differ from system to system. */
function run(fd: number, args: string[], timeout = LONGEST_MS) {
  return spawnSync('stty', args, { stdio: [fd, 'pipe', 'pipe'], encoding: 'utf8', timeout });
}

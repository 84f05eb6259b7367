import { spawnSync } from 'node:child_process';

/** Timeout for a device that does not respond. */
const TIMEOUT_MS = 5000;
/** Timeout at a stop: stty waits for output that flow control holds back. */
const RESTORE_MS = 300;
/** As cfmakeraw(3) for input. `raw` would also change the output, which other programs may write. */
const RAW =
  '-ignbrk -brkint -parmrk -istrip -inlcr -igncr -icrnl -ixon -isig -icanon -echo -echonl -iexten cs8 -parenb clocal cread min 1 time 0';

/** @see Engine.makeRaw. Uses stty(1), as Node has no call for it. */
export function makeRaw(fd: number, baud?: number): () => void {
  const before = stty(fd, ['-g']);
  const speed = baud === undefined ? [] : [String(baud)];
  // Fails if the device is gone; nothing to restore then.
  const restore = () => void run(fd, [before], RESTORE_MS);
  try {
    stty(fd, [...RAW.split(' '), ...speed]);
  } catch (error) {
    // stty sets supported modes before it fails for the rest.
    restore();
    throw error;
  }
  return restore;
}

/** @throws with stty's error message */
function stty(fd: number, args: string[]): string {
  const { error, status, stdout, stderr } = run(fd, args);
  if (error) throw new Error(`stty, which sets its mode, cannot be run (${error.message})`, { cause: error });
  if (status !== 0) throw new Error(stderr.trim().replace(/\s*\n\s*/g, ' '));
  return stdout.trim();
}

/** The terminal is stty's stdin: the flag that names a device differs between systems. */
function run(fd: number, args: string[], timeout = TIMEOUT_MS) {
  return spawnSync('stty', args, { stdio: [fd, 'pipe', 'pipe'], encoding: 'utf8', timeout });
}

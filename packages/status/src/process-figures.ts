import { readdirSync, readFileSync } from 'node:fs';

/** What the system tells about this process, under the names that all Prometheus clients use. */
export interface ProcessFigures {
  cpuSeconds: number;
  memoryBytes: number;
  /** Since 1970. */
  startSeconds: number;
  /** Linux alone, as the limit. */
  openFds: number | undefined;
  maxFds: number | undefined;
}

export const STARTED = new Date(Date.now() - 1000 * process.uptime());

export function processFigures(): ProcessFigures {
  const { user, system } = process.cpuUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    memoryBytes: process.memoryUsage.rss(),
    startSeconds: STARTED.getTime() / 1000,
    openFds: countDescriptors(),
    maxFds: descriptorLimit(),
  };
}

/** Without the descriptor that reads the folder (proc(5)). */
function countDescriptors(): number | undefined {
  return ofProc(() => readdirSync('/proc/self/fd').length - 1);
}

function descriptorLimit(): number | undefined {
  const limits = ofProc(() => readFileSync('/proc/self/limits', 'latin1'));
  const [, limit] = /^Max open files\s+(\d+)/m.exec(limits ?? '') ?? [];
  return limit === undefined ? undefined : Number(limit);
}

/** Undefined without /proc, and while no descriptor is left (EMFILE). */
function ofProc<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return undefined;
  }
}

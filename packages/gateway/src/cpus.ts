import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

/** CPUs that this process may use: those of its affinity, and no more than cpu.max grants, rounded up (cgroups(7)). */
export function usableCpus(): number {
  const granted = grantedCpus('/proc/self/cgroup', '/sys/fs/cgroup');
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(granted)));
}

/**
 * The CPU time per time that cpu.max grants a process, by its group and by those around it.
 * @param groups the file that names the group of the process (cgroups(7), /proc/pid/cgroup)
 * @param root where the hierarchy of version 2 is mounted
 * @returns infinite: there is no limit
 */
export function grantedCpus(groups: string, root: string): number {
  const [, path] = /^0::(\/.*)$/m.exec(read(groups)) ?? [];
  if (path === undefined) return Number.POSITIVE_INFINITY;
  let least = Number.POSITIVE_INFINITY;
  // In a namespace of groups, the path of a group outside of it begins with `/..`.
  for (let group = join('/', path); ; group = dirname(group)) {
    const [, quota, period] = /^(\d+) (\d+)/.exec(read(join(root, group, 'cpu.max'))) ?? [];
    if (quota !== undefined) least = Math.min(least, Number(quota) / Number(period));
    if (group === '/') return least;
  }
}

/** '': there is no such file: not Linux, an older hierarchy, or the root group. */
function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return '';
  }
}

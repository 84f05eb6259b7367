import { readFileSync } from 'node:fs';

/** Memory of a process now, in bytes. Linux alone. */
export function residentMemory(pid: number): number {
  return memory(pid, 'VmRSS');
}

/** The most memory that a process had so far, in bytes. Linux alone. */
export function peakMemory(pid: number): number {
  return memory(pid, 'VmHWM');
}

/** The same without the pages of files, as Node's executable, which its processes share. */
export function peakPrivateMemory(pid: number): number {
  return peakMemory(pid) - memory(pid, 'RssFile');
}

/** proc_pid_status(5). */
function memory(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(status)![1]) * 1024;
}

import { readFileSync } from 'node:fs';

const HOSTS =
  process.platform === 'win32' ? `${process.env.SystemRoot}\\System32\\drivers\\etc\\hosts` : '/etc/hosts';

/** The hosts file is first, or follows services that use no network (nsswitch.conf(5), nss-resolve(8)). */
const FILES_FIRST = /^[ \t]*hosts:(?:\s*(?:mymachines|resolve|myhostname)\b(?:\s*\[[^\]]*\])?)*\s*files\b/m;

/**
 * Whether getaddrinfo(3) resolves a name from the hosts file, without a name server: an entry of either
 * family ends its search (glibc, get_nss_addresses).
 */
export function isInHostsFile(name: string): boolean {
  // The DNS client of Windows resolves it without an entry (RFC 6761, section 6.3).
  if (process.platform === 'win32' && name.toLowerCase() === 'localhost') return true;
  return hasHost(read(HOSTS), name) && isFilesFirst(read('/etc/nsswitch.conf'));
}

/** @param hosts the text of a hosts file (hosts(5)) */
export function hasHost(hosts: string, name: string): boolean {
  const wanted = name.toLowerCase();
  return hosts
    .toLowerCase()
    .split('\n')
    .some((line) => line.includes(wanted) && namesOf(line).includes(wanted));
}

/** @param text of nsswitch.conf; without a line for hosts the file is searched first */
export function isFilesFirst(text: string): boolean {
  return FILES_FIRST.test(text) || !/^[ \t]*hosts:/m.test(text);
}

function namesOf(line: string): string[] {
  return line.replace(/#.*/, '').trim().split(/\s+/).slice(1);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Missing or unreadable, also for getaddrinfo(3).
    return '';
  }
}

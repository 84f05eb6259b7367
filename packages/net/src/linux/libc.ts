import { loadKoffi } from '#native';
import type { Koffi } from './koffi.js';

/** System calls that Node lacks, through a foreign function interface. Pointers are Buffers or addresses. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  connect(fd: number, address: Buffer, length: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, address: Buffer, length: Buffer, flags: number): number;
  getpeername(fd: number, address: Buffer, length: Buffer): number;
  getsockname(fd: number, address: Buffer, length: Buffer): number;
  setsockopt(fd: number, level: number, option: number, value: Buffer, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Buffer, length: Buffer): number;
  recv(fd: number, bytes: number | bigint, length: number, flags: number): number;
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: null): number;
  sendmmsg(fd: number, messages: bigint, count: number, flags: number): number;
  send(fd: number, bytes: number, length: number, flags: number): number;
  sendto(
    fd: number,
    bytes: Buffer,
    length: number,
    flags: number,
    address: Buffer,
    addressLength: number,
  ): number;
  writev(fd: number, iovs: bigint, count: number): number;
  madvise(address: bigint, length: bigint, advice: number): number;
  shutdown(fd: number, how: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: Buffer | null): number;
  epoll_wait(epoll: number, events: bigint, count: number, timeout: number): number;
  eventfd(initial: number, flags: number): number;
  /** Makes `to` a duplicate of `from`, atomically for all threads (dup(2)). */
  dup2(from: number, to: number): number;
  /** For requests that take a pointer (ioctl(2)). */
  ioctl(fd: number, request: number, argument: Buffer): number;
  if_nametoindex(name: string): number;
  if_indextoname(index: number, name: Buffer): unknown;
  close(fd: number): number;
  /** The errno of the previous call; read it immediately. */
  errno(): number;
  /**
   * The address of a Buffer's bytes. The caller keeps the Buffer in a field while the address is in use:
   * V8 frees a Buffer without references.
   */
  address(buffer: Buffer): bigint;
}

const PROTOTYPES = {
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, void *, unsigned int)',
  connect: 'int connect(int, void *, unsigned int)',
  listen: 'int listen(int, int)',
  accept4: 'int accept4(int, void *, void *, int)',
  getpeername: 'int getpeername(int, void *, void *)',
  getsockname: 'int getsockname(int, void *, void *)',
  setsockopt: 'int setsockopt(int, int, int, void *, unsigned int)',
  getsockopt: 'int getsockopt(int, int, int, void *, void *)',
  recv: 'int64_t recv(int, uintptr_t, size_t, int)',
  recvmmsg: 'int recvmmsg(int, uintptr_t, unsigned int, int, void *)',
  sendmmsg: 'int sendmmsg(int, uintptr_t, unsigned int, int)',
  send: 'int64_t send(int, uintptr_t, size_t, int)',
  sendto: 'int64_t sendto(int, void *, size_t, int, void *, unsigned int)',
  writev: 'int64_t writev(int, uintptr_t, int)',
  madvise: 'int madvise(uintptr_t, size_t, int)',
  shutdown: 'int shutdown(int, int)',
  epoll_create1: 'int epoll_create1(int)',
  epoll_ctl: 'int epoll_ctl(int, int, int, void *)',
  epoll_wait: 'int epoll_wait(int, uintptr_t, int, int)',
  eventfd: 'int eventfd(unsigned int, int)',
  dup2: 'int dup2(int, int)',
  ioctl: 'int ioctl(int, unsigned long, void *)',
  if_nametoindex: 'unsigned int if_nametoindex(const char *)',
  if_indextoname: 'void *if_indextoname(unsigned int, void *)',
  close: 'int close(int)',
};

let loaded: Libc | undefined;

/** Loads the interface once per thread. @throws when koffi is missing or does not support this machine */
export function loadLibc(): Libc {
  loaded ??= bindLibc(loadKoffi());
  return loaded;
}

function bindLibc(koffi: Koffi): Libc {
  const library = koffi.load(null);
  const calls = Object.entries(PROTOTYPES).map(([name, prototype]) => [name, library.func(prototype)]);
  const { errno, address } = koffi;
  return { ...(Object.fromEntries(calls) as Omit<Libc, 'errno' | 'address'>), errno, address };
}

import { loadKoffi } from '#native';

/**
 * Node's event loop of this thread as libuv has it, from the symbols that the node binary, or its library, exports (uv.h, node.h).
 * Pointers are numbers.
 */
export interface Uv {
  /** The event loop of this thread. */
  loop: bigint;
  handle_size(type: number): number;
  poll_init(loop: bigint, handle: bigint, fd: number): number;
  poll_start(handle: bigint, events: number, callback: bigint): number;
  poll_stop(handle: bigint): number;
  ref(handle: bigint): void;
  unref(handle: bigint): void;
  /** Has a function of one pointer called when the thread's environment ends, the last added first (node.h). */
  atCleanup(callback: bigint, argument: bigint): void;
  /** The address of a function of this process (dlsym(3)). @throws if there is none of this name */
  symbol(name: string): bigint;
  address(buffer: Buffer): bigint;
}

/** @throws where node was built without these symbols */
export function loadUv(): Uv {
  const koffi = loadKoffi();
  const process = koffi.load(null);
  const call = <F>(prototype: string) => process.func(prototype) as F;
  const dlsym = call<(library: null, name: string) => number | bigint>(
    'uintptr_t dlsym(void *, const char *)',
  );
  const isolate = call<() => bigint>('uintptr_t _ZN2v87Isolate10GetCurrentEv()')();
  const loopOf = call<(isolate: bigint) => bigint>(
    'uintptr_t _ZN4node19GetCurrentEventLoopEPN2v87IsolateE(uintptr_t)',
  );
  const addHook = call<(isolate: bigint, callback: bigint, argument: bigint) => void>(
    'void _ZN4node25AddEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_(uintptr_t, uintptr_t, uintptr_t)',
  );
  return {
    loop: loopOf(isolate),
    handle_size: call('size_t uv_handle_size(int)'),
    poll_init: call('int uv_poll_init(uintptr_t, uintptr_t, int)'),
    poll_start: call('int uv_poll_start(uintptr_t, int, uintptr_t)'),
    poll_stop: call('int uv_poll_stop(uintptr_t)'),
    ref: call('void uv_ref(uintptr_t)'),
    unref: call('void uv_unref(uintptr_t)'),
    atCleanup: (callback, argument) => addHook(isolate, callback, argument),
    symbol: (name) => {
      const address = BigInt(dlsym(null, name));
      if (address === 0n) throw new Error(`this process has no ${name}`);
      return address;
    },
    address: koffi.address,
  };
}

import { BatchReceiver } from 'mproxy-net/linux/batch-receiver';
import { FileLock } from 'mproxy-net/linux/file-lock';
import { StreamConnection } from 'mproxy-net/linux/streams/connection';

/** A receiving thread that fails by a mistake, or by its heap, when it receives a datagram that says so. */

const { receive } = BatchReceiver.prototype;
const { run } = StreamConnection.prototype;
const { unlock } = FileLock.prototype;
let failsAfterClose = false;
let failsInLock = false;

BatchReceiver.prototype.receive = function (fd, batch, filter, flags) {
  const count = receive.call(this, fd, batch, filter, flags);
  if (count > 0)
    batch.each((offset, length) =>
      obey(batch.slab.toString('latin1', offset, offset + Math.min(length, 40))),
    );
  return count;
};

// A connection runs once more after its descriptor is closed, to report that.
StreamConnection.prototype.run = function () {
  if (failsAfterClose) fail();
  run.call(this);
};

FileLock.prototype.unlock = function () {
  if (failsInLock) fail();
  unlock.call(this);
};

function obey(text: string): void {
  if (text === 'fail by a mistake\n') fail();
  if (text === 'fail by the heap\n') exhaust();
  if (text === 'fail after the next close\n') failsAfterClose = true;
  if (text === 'fail with the lock of the file\n') failsInLock = true;
}

function fail(): never {
  throw new TypeError('a mistake of ours');
}

function exhaust(): void {
  const kept: unknown[] = [];
  for (;;) kept.push(Array.from({ length: 1000 }, () => ({})));
}

await import(process.argv[2]!);

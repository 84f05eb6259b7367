import { ERRNO, systemError } from '../errno.js';
import type { IoVectors } from '../io-vectors.js';
import type { Channel } from './channel.js';
import { Output } from './output.js';
import type { StreamParts } from './parts.js';

/** Bytes that one connection sends before it is others' turn. */
const QUOTA = 1024 * 1024;

/** The direction of a connection that sends. It calls nobody: whoever calls it looks at what became of it. */
export class Sending {
  /** Whether the kernel has room, until EAGAIN says otherwise. */
  writable = true;
  /** `ending`: it ends when all is sent. */
  state: 'open' | 'ending' | 'ended' | 'failed' = 'open';
  /** Why it failed. */
  error: Error | undefined;
  /** Bytes taken by the kernel, or by TLS. */
  taken = 0;
  /** Bytes were refused, or not taken at once. */
  #drainDue = false;
  readonly #output = new Output();

  constructor(
    private readonly parts: StreamParts,
    private readonly channel: Channel,
  ) {}

  get writing(): boolean {
    return this.#output.left > 0;
  }

  /** Whether something is still to be sent. */
  get due(): boolean {
    return this.state === 'ending' || (this.state === 'open' && this.writing);
  }

  /** Whether there is room, and somebody waits to be told. */
  get drained(): boolean {
    return this.#drainDue && this.writable && !this.writing && this.state !== 'failed';
  }

  /** It is being told. */
  told(): void {
    this.#drainDue = false;
  }

  /** See Connection.write. */
  write(bytes: readonly Uint8Array[]): boolean {
    if (this.state !== 'open') return false;
    const waits = this.writing;
    for (const some of bytes) this.#output.add(some);
    if (!waits) this.#flush();
    if (!this.writing) return !this.error;
    this.#drainDue = true;
    return false;
  }

  /** See Connection.offer. */
  offer(bytes: Uint8Array): number {
    if (this.state !== 'open' || this.writing || bytes.length === 0) return 0;
    const count = this.writable ? this.channel.sendOne(this.parts.addressOf(bytes), bytes.length) : 0;
    if (count < 0) this.#unsuccessful(count);
    const sent = Math.max(0, count);
    this.taken += sent;
    if (sent === bytes.length) return sent;
    this.writable = false;
    this.#drainDue = true;
    return sent + this.#keepBegun(bytes, sent);
  }

  /** Whether bytes may be taken now that are sent later, see {@link TurnOutput}. */
  get mayCollect(): boolean {
    return this.writable && this.state === 'open' && !this.writing && this.channel.exact === true;
  }

  /** Sends bytes that count as taken already. @returns whether all were sent; else the rest, which is copied, waits, or sending failed */
  sendCollected(memory: Buffer, address: number, start: number, end: number): boolean {
    const count = this.channel.sendOne(address, end - start);
    if (count === end - start) return true;
    if (count < 0) this.#unsuccessful(count);
    const rest = Buffer.from(memory.subarray(start + Math.max(0, count), end));
    this.taken -= rest.length;
    if (this.state === 'failed') return false;
    this.writable = false;
    this.#drainDue = true;
    this.#output.add(rest);
    return false;
  }

  /** What TLS has encrypted must be given to it again (SSL_write(3)), so it is taken, by a copy. @returns its length */
  #keepBegun(bytes: Uint8Array, at: number): number {
    const { begun } = this.channel;
    if (begun > 0 && this.state === 'open') this.#output.add(Buffer.from(bytes.subarray(at, at + begun)));
    return this.#output.left;
  }

  /** As {@link offer}, for what lies in memory already. What is left must be written next. */
  offerVectors({ address, count, bytes }: IoVectors): number {
    if (this.state !== 'open' || this.writing || !this.writable) return 0;
    const taken = this.channel.send(address, count);
    if (taken < 0) {
      this.#unsuccessful(taken);
      return 0;
    }
    this.taken += taken;
    if (taken < bytes && this.channel.exact) this.writable = false;
    return taken;
  }

  /** Ends when all is sent. */
  end(): void {
    if (this.state !== 'open') return;
    this.state = 'ending';
    this.#finish();
  }

  /** Sends what can be sent now. */
  go(): void {
    this.#flush();
    this.#finish();
  }

  clear(): void {
    this.#output.clear();
    this.#drainDue = false;
  }

  #flush(): void {
    const { vectors } = this.parts;
    for (let left = QUOTA; left > 0 && this.writable && this.writing; ) {
      const count = this.#output.send(this.channel, this.parts);
      if (count < 0) {
        this.#unsuccessful(count);
        return;
      }
      left -= count;
      this.taken += count;
      if (count < vectors.bytes && this.channel.exact) this.writable = false;
    }
  }

  #finish(): void {
    if (this.state !== 'ending' || this.writing) return;
    const result = this.channel.finish();
    if (result < 0) this.#unsuccessful(result);
    else this.state = 'ended';
  }

  #unsuccessful(result: number): void {
    if (result === -ERRNO.EAGAIN) {
      this.writable = false;
      return;
    }
    this.state = 'failed';
    this.error = this.channel.error ?? systemError(-result, 'write');
    this.clear();
  }
}

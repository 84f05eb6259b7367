import { Prefixes, type SocketAddress } from 'mproxy-base';
import type { StreamOpeners } from '../../stream-openers.js';
import { systemError } from '../errno.js';
import { IOV_MAX, IoVectors } from '../io-vectors.js';
import { AF_UNIX, decodeSocketAddress, NAME_SPACE } from '../layout.js';
import type { Libc } from '../libc.js';
import type { Loop } from '../loop.js';
import { interfaceName } from '../socket.js';
import type { Tls } from '../tls/tls.js';
import { TurnOutput } from './turn-output.js';

/** Bytes of one receive call. */
const RECEIVED = 256 * 1024;
/** Up to so many bytes are copied to be sent. */
const STAGED = 8 * 1024;

/** What the stream sockets of a thread share. Its memory is in use during a call, and no longer. */
export class StreamParts {
  /** Exact as a number, see {@link addressOf}. */
  readonly receivedAddress: number;
  /** Kept in fields: the kernel is given their addresses. */
  readonly staging = Buffer.allocUnsafeSlow(STAGED);
  readonly stagingAddress: number;
  readonly vectors: IoVectors;
  readonly turnOutput: TurnOutput;
  /** A socket address, and its length, as the kernel writes them. */
  readonly name = Buffer.alloc(NAME_SPACE);
  readonly nameLength = Buffer.alloc(4);
  readonly #receivedBase: number;
  readonly #views: Prefixes;
  /** What was asked for last. */
  #last: Uint8Array | undefined;
  #lastAddress = 0;
  /** The memory whose address was asked for last, and before: many connections send the same, and a proxy sends from two by turns. */
  #memory: ArrayBufferLike | undefined;
  #address = 0;
  #memoryBefore: ArrayBufferLike | undefined;
  #addressBefore = 0;

  /** @param received what all connections receive into */
  constructor(
    readonly libc: Libc,
    readonly loop: Loop,
    /** Undefined: there is no TLS on the loop of this thread, or none yet. */
    public tls?: Tls,
    readonly upgrade?: StreamOpeners['secure'],
    readonly received = Buffer.allocUnsafeSlow(RECEIVED),
  ) {
    this.receivedAddress = Number(libc.address(received));
    this.#views = new Prefixes(received);
    this.#receivedBase = this.receivedAddress - received.byteOffset;
    this.stagingAddress = Number(libc.address(this.staging));
    this.vectors = new IoVectors(libc, IOV_MAX);
    this.turnOutput = new TurnOutput(libc, loop);
  }

  /** The first bytes of the received ones. */
  view(length: number): Buffer {
    return this.#views.of(length);
  }

  /** Exact as a number: user addresses of 64-bit Linux are below 2^47 (x86-64) or 2^52 (arm64). */
  addressOf(bytes: Uint8Array): number {
    if (bytes !== this.#last) {
      this.#lastAddress = this.#find(bytes);
      this.#last = bytes;
    }
    return this.#lastAddress;
  }

  #find(bytes: Uint8Array): number {
    const { buffer, byteOffset } = bytes;
    if (buffer === this.received.buffer) return this.#receivedBase + byteOffset;
    if (buffer !== this.#memory) {
      const address = this.#addressBefore;
      const isKnown = buffer === this.#memoryBefore;
      this.#memoryBefore = this.#memory;
      this.#addressBefore = this.#address;
      this.#memory = buffer;
      this.#address = isKnown ? address : Number(this.libc.address(Buffer.from(buffer)));
    }
    return this.#address + byteOffset;
  }

  /** The local address of a socket. */
  localOf(fd: number): SocketAddress | undefined {
    this.nameLength.writeUInt32LE(NAME_SPACE);
    if (this.libc.getsockname(fd, this.name, this.nameLength) !== 0)
      throw systemError(this.libc.errno(), 'getsockname');
    return this.decodeName();
  }

  /** The peer of a socket; undefined also if it has left already. */
  peerOf(fd: number): SocketAddress | undefined {
    this.nameLength.writeUInt32LE(NAME_SPACE);
    return this.libc.getpeername(fd, this.name, this.nameLength) === 0 ? this.decodeName() : undefined;
  }

  /** The address in {@link name}; undefined: that of a Unix socket. */
  decodeName(): SocketAddress | undefined {
    if (this.name.readUInt16LE(0) === AF_UNIX) return undefined;
    return decodeSocketAddress(this.name, 0, (index) => interfaceName(this.libc, index));
  }
}

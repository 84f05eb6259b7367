import { countOf, HEADER, sequenceOf, sessionOf, skipMessages, writeHeader } from './packet.js';
import type { PacketStore } from './store.js';

/** A downstream packet that answers a request, or the first part of it. */
export interface Answer {
  /** The slab of the store or the scratch buffer; valid until it is written again. */
  bytes: Buffer;
  offset: number;
  length: number;
  /** The sequence number after the packet's last message: where the rest of the answer begins. */
  next: number;
}

/**
 * The first packet of an answer: from `first` to `first + count - 1` or, before that, the end of the stored
 * packet. A whole stored packet is returned in place; any other is assembled in `scratch`.
 * @param count messages, 1 or more
 * @param scratch at least as large as the store's largest packet: 65,507 bytes suffice
 * @returns undefined if the store does not hold `first`
 */
export function answer(
  store: PacketStore,
  first: number,
  count: number,
  scratch: Buffer,
): Answer | undefined {
  const found = store.find(first);
  if (!found) return undefined;
  const { slab } = store;
  const start = sequenceOf(slab, found.offset);
  const held = countOf(slab, found.offset);
  const next = Math.min(first + count, start + held);
  if (first === start && next === start + held)
    return { bytes: slab, offset: found.offset, length: found.length, next };
  const from = skipMessages(slab, found.offset + HEADER, first - start);
  const to = skipMessages(slab, from, next - first);
  const length = HEADER + to - from;
  if (length > scratch.length) throw new RangeError(`${length} bytes in a scratch of ${scratch.length}`);
  writeHeader(scratch, 0, sessionOf(slab, found.offset), first, next - first);
  slab.copy(scratch, HEADER, from, to);
  return { bytes: scratch, offset: 0, length, next };
}

import { HEADER, MESSAGE_HEADER, messageLength, PacketStore, sequenceOf } from 'mproxy-mold';

export const SESSION = 'session   ';

/** A downstream packet, or, without messages, a header alone; written with other means than the code under test. */
export function packet(sequence: number | bigint, messages: string[], count = messages.length): Buffer {
  const parts = [Buffer.alloc(HEADER)];
  parts[0]!.write(SESSION, 'latin1');
  parts[0]!.writeBigUInt64BE(BigInt(sequence), 10);
  parts[0]!.writeUInt16BE(count, 18);
  for (const message of messages) {
    const bytes = Buffer.from(message, 'latin1');
    parts.push(Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes);
  }
  return Buffer.concat(parts);
}

/** The messages of a packet. */
export function messagesOf(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = HEADER; at < bytes.length; at += MESSAGE_HEADER + messageLength(bytes, at))
    messages.push(bytes.subarray(at + MESSAGE_HEADER, at + MESSAGE_HEADER + messageLength(bytes, at)));
  return messages;
}

/** A packet in words: `3: a b` for messages 3 and 4. */
export function spell(bytes: Buffer): string {
  return `${sequenceOf(bytes, 0)}:${messagesOf(bytes)
    .map((message) => ` ${message.toString('latin1')}`)
    .join('')}`;
}

/** A store that holds these packets. */
export function storeOf(capacity: number, packets: Buffer[]): PacketStore {
  const store = new PacketStore(capacity);
  for (const bytes of packets) put(store, bytes);
  return store;
}

export function put(store: PacketStore, bytes: Buffer, reserved = bytes.length): number {
  const at = store.reserve(reserved);
  bytes.copy(store.slab, at);
  store.commit(bytes.length);
  return at;
}

/** The packet that holds a message, in words. */
export function found(store: PacketStore, sequence: number): string | undefined {
  const where = store.find(sequence);
  return where && spell(store.slab.subarray(where.offset, where.offset + where.length));
}

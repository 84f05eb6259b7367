/**
 * The layout of MoldUDP64 1.00 (Nasdaq), all numbers big-endian. Every packet begins with a header: session
 * (10 ASCII characters, right-padded with spaces), sequence number u64, count u16. In a downstream packet
 * `count` messages follow, each a length u16 and its bytes; a request is the header alone.
 *
 * Sequence numbers are JavaScript numbers: a packet with a number beyond 2^53-1 is rejected.
 */

/** Bytes of a packet's header. */
export const HEADER = 20;
/** Bytes before each message. */
export const MESSAGE_HEADER = 2;
/** Characters of a session's name. */
export const SESSION_LENGTH = 10;
/** The count of a heartbeat; its sequence number is the next expected. */
export const HEARTBEAT = 0;
/** The count of an end of session; its sequence number is one past the last. Ordinary in a request. */
export const END_OF_SESSION = 0xffff;

const SEQUENCE = 10;
const COUNT = 18;
const HIGH_UNIT = 2 ** 32;

const REASONS = {
  MOLD_SHORT: 'shorter than a header',
  MOLD_CUT: 'a message reaches beyond the end',
  MOLD_TRAILING: 'bytes behind the last message',
  MOLD_NUMBER: 'a sequence number that does not exist or is beyond 2^53-1',
  MOLD_SIZE: 'a request is 20 bytes',
  MOLD_COUNT: 'a request for no message',
  MOLD_SESSION: 'a session is 1 to 10 printable ASCII characters',
};

/** Stable codes for errors in a packet, a request or a session name. */
export type MoldErrorCode = keyof typeof REASONS;

export class MoldError extends Error {
  override readonly name = 'MoldError';
  constructor(readonly code: MoldErrorCode) {
    super(REASONS[code]);
  }
}

/**
 * One reusable error per code: anyone can send malformed packets, and a new error with its stack takes ten
 * times as long.
 */
const ERRORS = {
  short: new MoldError('MOLD_SHORT'),
  cut: new MoldError('MOLD_CUT'),
  trailing: new MoldError('MOLD_TRAILING'),
  number: new MoldError('MOLD_NUMBER'),
  size: new MoldError('MOLD_SIZE'),
  count: new MoldError('MOLD_COUNT'),
};

/** The sequence number of a packet's first message. Rounded beyond 2^53-1, which the checks reject. */
export function sequenceOf(bytes: Buffer, offset: number): number {
  const at = offset + SEQUENCE;
  return bytes.readUInt32BE(at) * HIGH_UNIT + bytes.readUInt32BE(at + 4);
}

/** A packet's count, 0 to 65,535, as written: see {@link HEARTBEAT} and {@link END_OF_SESSION}. */
export function countOf(bytes: Buffer, offset: number): number {
  return bytes.readUInt16BE(offset + COUNT);
}

/** A packet's session, 10 characters. latin1 gives different bytes different names. */
export function sessionOf(bytes: Buffer, offset: number): string {
  return bytes.toString('latin1', offset, offset + SESSION_LENGTH);
}

/** Whether a packet is of this session; cheaper than {@link sessionOf}. */
export function isOf(session: string, bytes: Buffer, offset: number): boolean {
  for (let i = 0; i < SESSION_LENGTH; i++) if (bytes[offset + i] !== session.charCodeAt(i)) return false;
  return true;
}

/** The length of the message whose header is at `offset`, 0 to 65,535 bytes. */
export function messageLength(bytes: Buffer, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** Throws a {@link MoldError} unless these bytes are exactly one downstream packet. */
export function checkPacket(bytes: Buffer, offset: number, length: number): void {
  if (length < HEADER) throw ERRORS.short;
  const written = countOf(bytes, offset);
  const count = written === END_OF_SESSION ? 0 : written;
  checkNumbers(sequenceOf(bytes, offset), count);
  const end = offset + length;
  let at = offset + HEADER;
  for (let i = 0; i < count; i++) {
    if (at + MESSAGE_HEADER > end) throw ERRORS.cut;
    at += MESSAGE_HEADER + messageLength(bytes, at);
  }
  if (at > end) throw ERRORS.cut;
  if (at < end) throw ERRORS.trailing;
}

/** Whether this is a downstream packet, or one without messages. */
export function isPacket(bytes: Buffer, offset: number, length: number): boolean {
  try {
    checkPacket(bytes, offset, length);
    return true;
  } catch (error) {
    if (!(error instanceof MoldError)) throw error;
    return false;
  }
}

/** The offset of the message that follows this many messages after `at`. */
export function skipMessages(bytes: Buffer, at: number, messages: number): number {
  let to = at;
  for (let i = 0; i < messages; i++) to += MESSAGE_HEADER + messageLength(bytes, to);
  return to;
}

/** Throws a {@link MoldError} unless this is a request for 1 to 65,535 messages, from number 1 or later. */
export function checkRequest(bytes: Buffer, offset: number, length: number): void {
  if (length !== HEADER) throw ERRORS.size;
  const count = countOf(bytes, offset);
  if (count === 0) throw ERRORS.count;
  const first = sequenceOf(bytes, offset);
  if (first === 0) throw ERRORS.number;
  checkNumbers(first, count);
}

function checkNumbers(first: number, count: number): void {
  const last = first + Math.max(0, count - 1);
  if (last > Number.MAX_SAFE_INTEGER) throw ERRORS.number;
}

/**
 * Writes a packet's header, which is also a complete request, heartbeat or end of session.
 * @param session as returned by {@link sessionName} or {@link sessionOf}
 * @param sequence 0 to 2^53-1
 * @param count 0 to 65,535
 */
export function writeHeader(
  into: Buffer,
  offset: number,
  session: string,
  sequence: number,
  count: number,
): void {
  // For ten characters a loop is faster than a call that encodes them.
  for (let i = 0; i < SESSION_LENGTH; i++) into[offset + i] = session.charCodeAt(i);
  into.writeUInt32BE(Math.floor(sequence / HIGH_UNIT), offset + SEQUENCE);
  into.writeUInt32BE(sequence % HIGH_UNIT, offset + SEQUENCE + 4);
  into.writeUInt16BE(count, offset + COUNT);
}

/** A packet of a header alone: a request, heartbeat or end of session. See {@link writeHeader}. */
export function headerAlone(session: string, sequence: number, count: number): Buffer {
  const packet = Buffer.alloc(HEADER);
  writeHeader(packet, 0, session, sequence, count);
  return packet;
}

/** A session name padded with spaces, as in packets. Throws a {@link MoldError} if it is invalid. */
export function sessionName(text: string): string {
  if (!/^[ -~]{1,10}$/.test(text) || text.trim() === '') throw new MoldError('MOLD_SESSION');
  return text.padEnd(SESSION_LENGTH);
}

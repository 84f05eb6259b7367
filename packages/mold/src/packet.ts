/**
 * The layout of MoldUDP64 1.00 (Nasdaq), all numbers big-endian. Every packet begins with a header: session (10 ASCII
 * characters, right-padded with spaces), sequence number u64, count u16. In a downstream packet `count` messages
 * follow, each a length u16 and its bytes; a request is the header alone.
 *
 * Sequence numbers are JavaScript numbers: a packet with a number beyond 2^53-1 is refused.
 */

/** Bytes of a packet's header. */
export const HEADER = 20;
/** Bytes before each message. */
export const MESSAGE_HEADER = 2;
/** Characters of a session's name. */
export const SESSION_LENGTH = 10;
/** The count of a heartbeat; its sequence number is the next expected. */
export const HEARTBEAT = 0;
/** The count of an end of session; its sequence number is one past the last. In a request it is an ordinary count. */
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

/** What is wrong with a packet, a request or a session's name; these codes do not change. */
export type MoldErrorCode = keyof typeof REASONS;

export class MoldError extends Error {
  override readonly name = 'MoldError';
  constructor(readonly code: MoldErrorCode) {
    super(REASONS[code]);
  }
}

/**
 * One error a code, thrown again and again: anybody can send what is malformed, and a new error with its stack takes
 * ten times as long.
 */
const REFUSALS = {
  short: new MoldError('MOLD_SHORT'),
  cut: new MoldError('MOLD_CUT'),
  trailing: new MoldError('MOLD_TRAILING'),
  number: new MoldError('MOLD_NUMBER'),
  size: new MoldError('MOLD_SIZE'),
  count: new MoldError('MOLD_COUNT'),
};

/** The sequence number of a packet's first message. Rounded beyond 2^53-1, which the checks refuse. */
export function sequenceOf(bytes: Buffer, offset: number): number {
  const at = offset + SEQUENCE;
  return bytes.readUInt32BE(at) * HIGH_UNIT + bytes.readUInt32BE(at + 4);
}

/** A packet's count, 0 to 65,535, as it is written: see {@link HEARTBEAT} and {@link END_OF_SESSION}. */
export function countOf(bytes: Buffer, offset: number): number {
  return bytes.readUInt16BE(offset + COUNT);
}

/** A packet's session: 10 characters, whatever bytes they are, so that every session has a name of its own. */
export function sessionOf(bytes: Buffer, offset: number): string {
  return bytes.toString('latin1', offset, offset + SESSION_LENGTH);
}

/** Whether it is a packet of this session; which costs less than to make the name. */
export function isOf(session: string, bytes: Buffer, offset: number): boolean {
  for (let i = 0; i < SESSION_LENGTH; i++) if (bytes[offset + i] !== session.charCodeAt(i)) return false;
  return true;
}

/** The length of the message whose own header is at `offset`, 0 to 65,535 bytes. */
export function messageLength(bytes: Buffer, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** Throws a {@link MoldError} unless these bytes are a downstream packet, whole and nothing else. */
export function checkPacket(bytes: Buffer, offset: number, length: number): void {
  if (length < HEADER) throw REFUSALS.short;
  const written = countOf(bytes, offset);
  const count = written === END_OF_SESSION ? 0 : written;
  checkNumbers(sequenceOf(bytes, offset), count);
  const end = offset + length;
  let at = offset + HEADER;
  for (let i = 0; i < count; i++) {
    if (at + MESSAGE_HEADER > end) throw REFUSALS.cut;
    at += MESSAGE_HEADER + messageLength(bytes, at);
  }
  if (at > end) throw REFUSALS.cut;
  if (at < end) throw REFUSALS.trailing;
}

/** Where the message begins that is so many behind the one at `at`. */
export function skipMessages(bytes: Buffer, at: number, messages: number): number {
  let to = at;
  for (let i = 0; i < messages; i++) to += MESSAGE_HEADER + messageLength(bytes, to);
  return to;
}

/** Throws a {@link MoldError} unless these bytes are a request: for 1 to 65,535 messages, from number 1 or later. */
export function checkRequest(bytes: Buffer, offset: number, length: number): void {
  if (length !== HEADER) throw REFUSALS.size;
  const count = countOf(bytes, offset);
  if (count === 0) throw REFUSALS.count;
  const first = sequenceOf(bytes, offset);
  if (first === 0) throw REFUSALS.number;
  checkNumbers(first, count);
}

function checkNumbers(first: number, count: number): void {
  const last = first + Math.max(0, count - 1);
  if (last > Number.MAX_SAFE_INTEGER) throw REFUSALS.number;
}

/**
 * Writes a packet's header, which is also a whole request, heartbeat or end of session.
 * @param session as {@link sessionName} or {@link sessionOf} gives it
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
  // Ten characters cost less one by one than in a call that encodes them.
  for (let i = 0; i < SESSION_LENGTH; i++) into[offset + i] = session.charCodeAt(i);
  into.writeUInt32BE(Math.floor(sequence / HIGH_UNIT), offset + SEQUENCE);
  into.writeUInt32BE(sequence % HIGH_UNIT, offset + SEQUENCE + 4);
  into.writeUInt16BE(count, offset + COUNT);
}

/** A packet that is a header alone: a request, a heartbeat or an end of session. As {@link writeHeader}. */
export function headerAlone(session: string, sequence: number, count: number): Buffer {
  const packet = Buffer.alloc(HEADER);
  writeHeader(packet, 0, session, sequence, count);
  return packet;
}

/** A session's name as packets carry it: padded with spaces. Throws a {@link MoldError} where that is impossible. */
export function sessionName(text: string): string {
  if (!/^[ -~]{1,10}$/.test(text) || text.trim() === '') throw new MoldError('MOLD_SESSION');
  return text.padEnd(SESSION_LENGTH);
}

/** The frames, by name. */
export const FRAMES = ['lines', 'line', 'raw', 'nul', 'cr', 'octet-counted', 'mold'] as const;

/**
 * A frame: the rule that splits a byte stream into datagrams and joins datagrams into a stream.
 *
 * - `lines`: as many whole lines as fit a datagram; joined as they are.
 * - `line`: one line per datagram, with its newline; joined with a newline where one is missing.
 * - `raw`: every `payload` bytes; joined as they are.
 * - `nul`, `cr`: as `lines`, of records that end with a NUL or a carriage return.
 * - `octet-counted`: one message per datagram, `LEN SP MSG` in the stream (RFC 6587, section 3.4.1).
 * - `mold`: packets of MoldUDP64, made of whole lines; a message is joined as it is.
 */
export type Frame = (typeof FRAMES)[number];

export function isFrame(name: string): name is Frame {
  return (FRAMES as readonly string[]).includes(name);
}

/** Whether a datagram that does not end with a newline gets one when it is joined into a stream. */
export function endsEveryDatagram(frame: Frame): boolean {
  return frame === 'line';
}

/** The byte that ends a record of the stream; undefined where none does. */
export function delimiterOf(frame: Frame): number | undefined {
  if (frame === 'raw' || frame === 'octet-counted') return undefined;
  return { nul: 0x00, cr: 0x0d, lines: 0x0a, line: 0x0a, mold: 0x0a }[frame];
}

export const FRAMES = ['lines', 'line', 'raw', 'nul', 'cr', 'octet-counted', 'mold'] as const;

/**
 * A rule to split a byte stream into datagrams, and to join datagrams into a stream.
 *
 * - `lines`: as many whole lines as fit a datagram; joined unchanged.
 * - `line`: one line per datagram, with its newline; a missing newline is added when joined.
 * - `raw`: every `payload` bytes; joined unchanged.
 * - `nul`, `cr`: as `lines`, for records that end with NUL or a carriage return.
 * - `octet-counted`: one message per datagram, `LEN SP MSG` in the stream (RFC 6587, section 3.4.1).
 * - `mold`: MoldUDP64 packets of whole lines; messages are joined unchanged.
 */
export type Frame = (typeof FRAMES)[number];

export function isFrame(name: string): name is Frame {
  return (FRAMES as readonly string[]).includes(name);
}

/** Whether a newline is added to each datagram that lacks one when it is joined into a stream. */
export function endsEveryDatagram(frame: Frame): boolean {
  return frame === 'line';
}

/** The byte that ends a record of the stream; undefined if none does. */
export function delimiterOf(frame: Frame): number | undefined {
  if (frame === 'raw' || frame === 'octet-counted') return undefined;
  return { nul: 0x00, cr: 0x0d, lines: 0x0a, line: 0x0a, mold: 0x0a }[frame];
}

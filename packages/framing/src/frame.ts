/** The rules that cut a byte stream into datagrams, by name. */
export const FRAMES = ['lines', 'line', 'raw', 'mold'] as const;

/**
 * A frame: the rule that cuts a byte stream into datagrams and puts datagrams back into a stream.
 *
 * - `lines`: as many whole lines as fit a datagram; back into a stream as they are.
 * - `line`: one line a datagram, its newline with it; back with a newline where one is missing.
 * - `raw`: every `payload` bytes; back as they are.
 * - `mold`: packets of MoldUDP64, which are made of whole lines and given back message by message elsewhere.
 */
export type Frame = (typeof FRAMES)[number];

export function isFrame(name: string): name is Frame {
  return (FRAMES as readonly string[]).includes(name);
}

/** Whether a datagram that does not end with a newline gets one when it is put back into a stream. */
export function endsEveryDatagram(frame: Frame): boolean {
  return frame === 'line';
}

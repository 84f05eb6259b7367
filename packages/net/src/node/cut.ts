import type { Socket } from 'node:net';

/** What Node does not publish of a socket: whether it reads, and how it begins to. */
type Handled = Socket & { _handle?: { reading?: boolean; readStart?(): number } | null };

const cut = new WeakSet<Socket>();

/**
 * Looks how a TLS socket ends, by close_notify or without it, by FIN: node:tls reports the same. To be called before it can end. When it
 * does, the socket below has stopped reading at the FIN (libuv: uv__stream_eof), or it reads (UV_EALREADY), or the TLS socket had it
 * stop, as too much was received: then no FIN was read. Tried with Node 20.20 and 24.21, TLS 1.2 and 1.3, ends in each moment.
 * @param stream a TLS socket @param raw the socket below
 */
export function noticeCut(stream: Socket, raw: Socket): void {
  const push = stream.push;
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null) {
      // A FIN after close_notify is another end.
      stream.push = push;
      const { reading } = (stream as Handled)._handle ?? {};
      if (reading && (raw as Handled)._handle?.readStart?.() === 0) cut.add(stream);
    }
    return push.call(stream, chunk, encoding);
  };
}

/** Whether the peer has ended without close_notify. */
export function isCut(stream: Socket): boolean {
  return cut.has(stream);
}

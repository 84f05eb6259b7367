/** Limit on a control line, in bytes. INFO lists the servers of a cluster; others are short (nats-server, max_control_line). */
export const MAX_LINE = 64 * 1024;

const RETURN = 0x0d;

/** The server does not follow the protocol; the connection cannot be used any more. */
export class ProtocolError extends Error {}

export function lineTooLong(): ProtocolError {
  return new ProtocolError(`a line of more than ${MAX_LINE} bytes`);
}

/** Checks the length of a line, and that CR is before its newline. @throws ProtocolError */
export function checkLine(bytes: Buffer, at: number, newline: number): void {
  if (newline - at >= MAX_LINE) throw lineTooLong();
  if (bytes[newline - 1] !== RETURN) throw new ProtocolError('a line that does not end with CR LF');
}

/** The beginning of a server's text, in quotes. */
export function quoted(text: string): string {
  return JSON.stringify(printable(text.slice(0, 20)));
}

/** A text that has parts of a server's, on one line: without characters that terminals obey (Unicode, general category C). */
export function plain(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
}

/** A server's text for terminals and logs: no control characters, 200 characters at most. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}

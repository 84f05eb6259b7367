/** A response as it came, read without the product's own parser. */
export interface Answer {
  status: number;
  head: string;
  body: string;
  /** By its own framing: where only the end of the connection ends it, by that. */
  isComplete: boolean;
}

export type End = 'open' | 'end' | 'reset';

/**
 * The responses in what was received.
 * @param methods of the requests
 * @param end what became of the connection
 */
export function answersIn(text: string, methods: readonly string[], end: End): Answer[] {
  const all: Answer[] = [];
  let finals = 0;
  for (let at = 0; at < text.length; ) {
    const headEnd = text.indexOf('\r\n\r\n', at) + 4;
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text.slice(at, at + 13))?.[1] ?? 0);
    if (headEnd < 4 || status === 0) {
      all.push({ status, head: text.slice(at), body: '', isComplete: false });
      break;
    }
    const head = text.slice(at, headEnd);
    const isEmpty = status < 200 || status === 204 || status === 304 || methods[finals] === 'HEAD';
    const { body, isComplete, next } = isEmpty
      ? { body: '', isComplete: true, next: headEnd }
      : bodyAt(text, headEnd, head, end);
    all.push({ status, head, body, isComplete });
    if (status >= 200) finals++;
    at = next;
  }
  return all;
}

function bodyAt(text: string, at: number, head: string, end: End) {
  const length = /^content-length: (\d+)\r$/im.exec(head)?.[1];
  if (/^transfer-encoding: chunked\r$/im.test(head)) return chunksAt(text, at);
  if (length === undefined) return { body: text.slice(at), isComplete: end === 'end', next: text.length };
  const next = at + Number(length);
  return { body: text.slice(at, next), isComplete: text.length >= next, next };
}

/** Chunks without extensions, with or without trailers. */
export function chunksAt(text: string, at: number) {
  let body = '';
  let next = at;
  for (;;) {
    const size = /^([\da-fA-F]+)\r\n/.exec(text.slice(next, next + 20));
    if (!size) return { body, isComplete: false, next: text.length };
    const length = Number.parseInt(size[1]!, 16);
    next += size[0].length;
    if (length === 0) break;
    body += text.slice(next, next + length);
    if (text.slice(next + length, next + length + 2) !== '\r\n')
      return { body, isComplete: false, next: text.length };
    next += length + 2;
  }
  const trailers = /^(?:[^\r\n]+\r\n)*\r\n/.exec(text.slice(next));
  return { body, isComplete: trailers !== null, next: trailers ? next + trailers[0].length : text.length };
}

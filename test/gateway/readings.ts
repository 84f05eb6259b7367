import { ChunkedDecoder, Rejection, RequestParser, ResponseParser } from 'mproxy-http';

/** What a connection of a client is, by the rules of mproxy-http, whose own tests have each case of the public suites. */
export interface RequestReading {
  /** The whole requests: method, target and body, as an origin that answers reads them. */
  readonly requests: string[];
  readonly methods: string[];
  /** Status of the answer to what is no request, at the end. */
  rejected: number | undefined;
  /** Method and target of the last one, whose body is not there, or invalid. */
  partial: string | undefined;
  /** Whether another request may follow. */
  isOpen: boolean;
}

export function readRequests(bytes: Buffer): RequestReading {
  const parser = new RequestParser();
  const reading: RequestReading = {
    ...{ requests: [], methods: [], rejected: undefined, partial: undefined, isOpen: true },
  };
  for (let at = 0; at < bytes.length; ) {
    const head = parser.parse(bytes, at, bytes.length);
    if (head === undefined || head instanceof Rejection) {
      reading.rejected = head?.status;
      reading.isOpen = false;
      return reading;
    }
    const shown = `${head.method} ${head.path}${head.query}`;
    const { body, end, status } = bodyOf(bytes, head.headEnd, head);
    if (end === undefined) {
      reading.partial = shown;
      reading.rejected = status;
      reading.isOpen = false;
      return reading;
    }
    reading.requests.push(`${shown} ${body}`.trim());
    reading.methods.push(head.method);
    reading.isOpen = head.keepAlive;
    at = end;
    if (!head.keepAlive) return reading;
  }
  return reading;
}

/** What a client is to get of what an upstream sends before it ends. */
export interface ResponseReading {
  /** Of interim ones, then of the final one. 502: it is none. */
  readonly statuses: number[];
  body: string;
  isComplete: boolean;
}

export function readResponse(bytes: Buffer, method: string): ResponseReading {
  const parser = new ResponseParser();
  const reading: ResponseReading = { statuses: [], body: '', isComplete: true };
  for (let at = 0; ; ) {
    const head = parser.parse(bytes, at, bytes.length, method);
    if (head === undefined || head instanceof Rejection || head.status === 101) {
      reading.statuses.push(502);
      reading.body = '';
      return reading;
    }
    reading.statuses.push(head.status);
    at = head.headEnd;
    if (head.status < 200) continue;
    const { body, end } = bodyOf(bytes, at, head);
    const isOpenEnded = head.closeDelimited;
    return {
      ...reading,
      body: isOpenEnded ? bytes.toString('latin1', at) : body,
      isComplete: isOpenEnded || end !== undefined,
    };
  }
}

function bodyOf(bytes: Buffer, at: number, head: { chunked: boolean; contentLength: number | undefined }) {
  let body = '';
  const onData = (piece: Uint8Array) => {
    body += Buffer.from(piece).toString('latin1');
  };
  if (head.chunked) {
    const decoder = new ChunkedDecoder();
    const end = decoder.feed(bytes, at, bytes.length, { onData });
    return { body, end: decoder.done ? end : undefined, status: decoder.rejection?.status };
  }
  const end = at + (head.contentLength ?? 0);
  onData(bytes.subarray(at, end));
  return { body, end: end <= bytes.length ? end : undefined, status: undefined };
}

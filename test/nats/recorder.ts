import { type Message, Parser, type ProtocolHandler } from 'mproxy-flow/endpoints/nats/protocol';

/** What a parser reported, as text: `MSG subject sid reply headers payload`. */
export class Recorder implements ProtocolHandler {
  readonly events: string[] = [];
  /** The bytes that messages lay in. */
  readonly slabs = new Set<ArrayBufferLike>();
  /** Messages since the last release, with the payloads that they had. */
  #lent: { bytes: Buffer; payload: string }[] = [];
  /** Payloads that changed before their release. */
  overwritten = 0;

  /** Messages whose burst has not ended. */
  get lent(): number {
    return this.#lent.length;
  }

  onInfo(json: string): void {
    this.events.push(`INFO ${json}`);
  }

  onMessage(message: Message): void {
    const { subject, sid, reply, headers, payload } = message;
    this.slabs.add(message.bytes.buffer);
    this.#lent.push({ bytes: payload, payload: payload.toString('latin1') });
    this.events.push(['MSG', subject, sid, reply, headers, payload.toString('latin1')].join('|'));
  }

  onBurstEnd(): void {
    for (const { bytes, payload } of this.#lent) if (bytes.toString('latin1') !== payload) this.overwritten++;
    this.#lent = [];
  }

  onPing(): void {
    this.events.push('PING');
  }

  onPong(): void {
    this.events.push('PONG');
  }

  onError(text: string): void {
    this.events.push(`ERR ${text}`);
  }
}

/** Parses pieces, each overwritten after its push as an engine does with its buffer. @returns the error, if any */
export function parse(pieces: readonly Buffer[], recorder = new Recorder()) {
  const parser = new Parser(recorder);
  let error: Error | undefined;
  for (const piece of pieces) {
    const lent = Buffer.from(piece);
    try {
      parser.push(lent);
    } catch (thrown) {
      error = thrown as Error;
      break;
    }
    lent.fill(0x55);
  }
  return { events: recorder.events, error, recorder };
}

/** Cuts bytes after every so many. */
export function cut(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

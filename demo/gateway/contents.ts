import { createHash, randomBytes } from 'node:crypto';

/** A body, with what a client knows of it. */
export interface Content {
  bytes: Buffer;
  /** SHA-256, hexadecimal. */
  digest: string;
}

/** Bytes of the page, of a file and of an upload, and of the download. */
const SMALL = 12_000;
const MEDIUM = 200_000;
const LARGE = 2_000_000;

/** What the servers of the demonstration have: random bytes, so that what is mixed up is seen. */
export const PAGE = randomContent(SMALL);
export const ASSET = randomContent(MEDIUM);
export const DOWNLOAD = randomContent(LARGE);

export function randomContent(length = MEDIUM): Content {
  const bytes = randomBytes(length);
  return { bytes, digest: digestOf(bytes) };
}

export function digestOf(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The event with a number, as it is sent. */
export function eventText(id: number): string {
  return `id: ${id}\ndata: ${digestOf(`event ${id}`)}`;
}

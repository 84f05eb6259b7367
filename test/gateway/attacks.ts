import type { Test } from 'tap';
import { type Program, program } from './program.js';
import { type RawClient, rawClient } from './raw-client.js';
import { type RecordingOrigin, recordingOrigin } from './recording-origin.js';

export const EVIL = 'GET /evil HTTP/1.1\r\nHost: h\r\n\r\n';
export const post = (lines: string, body: string) => `POST / HTTP/1.1\r\nHost: h\r\n${lines}\r\n${body}`;
export const get = (path: string, host = 'h') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

export interface Proxied {
  gateway: Program;
  origin: RecordingOrigin;
}

export async function proxied(t: Test): Promise<Proxied> {
  const origin = await recordingOrigin(t);
  const gateway = await program(t, { routes: [{ path: '/', upstream: origin.url }] });
  return { gateway, origin };
}

/** Sends bytes in one piece, on a connection of its own. */
export async function attack(t: Test, { gateway }: Proxied, text: string): Promise<RawClient> {
  return (await rawClient(t, gateway.port)).send(text);
}

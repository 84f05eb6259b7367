import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { answersIn } from './answers.js';

export interface TlsRequest extends ConnectionOptions {
  /** The server name of the handshake; undefined: none is sent. */
  sni?: string | undefined;
  host: string;
  /** Where the client connects from, as node:net has it; the types of node:tls omit it. */
  localAddress?: string;
  path?: string;
  /** Further fields, whole lines. */
  fields?: string;
}

/** Responses, or what ended the connection instead: the number of an alert (RFC 8446, section 6), or `closed`. */
export type Answered = Answers | number | 'closed';

export interface Answers {
  /** The first. */
  status: number;
  statuses: number[];
  text: string;
  /** Of the server's certificate. */
  serial: string;
  socket: TLSSocket;
}

/** Sends a request over a connection of its own, which it ends, and reads until the end. */
export async function askSecurely(t: Test, port: number, request: TlsRequest): Promise<Answered> {
  const { sni, host, path = '/', fields = '', ...options } = request;
  // A server name of '' is none.
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: sni ?? '',
    rejectUnauthorized: false,
    ...options,
  });
  t.teardown(() => socket.destroy());
  let text = '';
  let serial = '';
  socket.once('secureConnect', () => {
    serial = socket.getPeerCertificate().serialNumber;
  });
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}Connection: close\r\n\r\n`);
  let failed: Error | undefined;
  socket.on('error', (error) => {
    failed = error;
  });
  await once(socket, 'close').catch(() => undefined);
  const statuses = answersIn(text, [], 'end').map(({ status }) => status);
  if (statuses.length > 0) return { status: statuses[0]!, statuses, text, serial, socket };
  const { code = '' } = (failed ?? {}) as NodeJS.ErrnoException;
  return alertOf(code, failed?.message ?? '');
}

/** Alerts by the names that OpenSSL gives them (<openssl/sslerr.h>). */
function alertOf(code: string, message: string): number | 'closed' {
  const number = /SSL alert number (\d+)/.exec(message)?.[1];
  if (number !== undefined) return Number(number);
  if (code.includes('UNRECOGNIZED_NAME')) return 112;
  if (code.includes('CERTIFICATE_REQUIRED')) return 116;
  if (code.includes('NO_APPLICATION_PROTOCOL')) return 120;
  return code.includes('UNKNOWN_CA') ? 48 : 'closed';
}

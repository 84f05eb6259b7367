// What is sent to a TLS server instead of a handshake.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Random } from '../support/random.js';

/** The most bytes of a record without its header (RFC 8446, section 5.1), and with what encryption may add (section 5.2). */
const PLAIN = 16_384;
export const ENCRYPTED = PLAIN + 256;
const HANDSHAKE = 22;
export const DATA = 23;

/** A record as on the wire. */
export function record(type: number, content: Buffer, version = 0x0303): Buffer {
  const head = Buffer.from([type, version >> 8, version & 255, content.length >> 8, content.length & 255]);
  return Buffer.concat([head, content]);
}

/** What a client sends first. */
export async function clientHello(): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const client = connectTls({ port, host: '127.0.0.1', servername: 'one.test' });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

/** Inputs by what they are. */
export function inputs(hello: Buffer, random: Random): Record<string, () => Buffer> {
  const some = (most: number) => random.bytes(random.integer(1, most));
  return {
    'random bytes': () => some(2000),
    'records with random contents': () => record(random.integer(20, 24), some(2000)),
    'handshake messages with random contents': () => {
      const body = some(500);
      const head = Buffer.from([random.integer(0, 24), 0, body.length >> 8, body.length & 255]);
      return record(HANDSHAKE, Buffer.concat([head, body]));
    },
    'a ClientHello with some bytes changed': () => {
      const bytes = Buffer.from(hello);
      for (let i = random.integer(1, 8); i > 0; i--)
        bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
      return bytes;
    },
    'a ClientHello that ends early': () => hello.subarray(0, random.integer(0, hello.length - 1)),
    'a ClientHello, then random records': () =>
      Buffer.concat([hello, record(random.integer(20, 23), some(500))]),
    'a record of a byte too many': () => record(HANDSHAKE, Buffer.alloc(PLAIN + 1, 1)),
    'the longest length': () => record(HANDSHAKE, Buffer.alloc(65_535)),
    'empty records': () =>
      Buffer.concat(Array.from({ length: 40 }, () => record(HANDSHAKE, Buffer.alloc(0)))),
  };
}

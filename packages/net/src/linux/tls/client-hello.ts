import { bytesOf, type Openssl } from './openssl.js';

const SERVER_NAME = 0;
const HOST_NAME = 0;
/** server_name_list with one name of 255 bytes, the longest. */
const LONGEST = 2 + 3 + 255;

/** The server name that a ClientHello asks for, in the client hello callback. Undefined: none, or OpenSSL will refuse it. */
export function sentServerName(ssl: Openssl, connection: number): string | undefined {
  const extension = bytesOf(ssl, LONGEST, (pointer, length) =>
    ssl.SSL_client_hello_get0_ext(connection, SERVER_NAME, pointer, length),
  );
  return extension && decodeServerName(extension);
}

/** Visible characters of ASCII: Node throws for a name with a zero byte, which OpenSSL refuses later. */
const NAME = /^[\x21-\x7e]+$/;

/** The name in a server_name extension (RFC 6066, section 3); undefined: it is malformed. */
export function decodeServerName(extension: Buffer): string | undefined {
  const { length } = extension;
  if (length < 6 || extension.readUInt16BE(0) !== length - 2) return undefined;
  if (extension[2] !== HOST_NAME || extension.readUInt16BE(3) !== length - 5) return undefined;
  const name = extension.toString('latin1', 5);
  return NAME.test(name) ? name : undefined;
}

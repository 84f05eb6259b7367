/** A list of protocols as on the wire, each with its length before it (RFC 7301, section 3.1). @throws if a name is not 1 to 255 bytes */
export function encodeProtocols(protocols: readonly string[]): Buffer {
  const names = protocols.map((name) => Buffer.from(name, 'latin1'));
  const bad = names.findIndex(({ length }) => length === 0 || length > 255);
  if (bad >= 0)
    throw new RangeError(`a protocol (ALPN) has 1 to 255 bytes: ${JSON.stringify(protocols[bad])}`);
  return Buffer.concat(names.flatMap((name) => [Buffer.of(name.length), name]));
}

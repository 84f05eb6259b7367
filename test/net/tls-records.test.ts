import { once } from 'node:events';
import { connect } from 'node:tls';
import { chooseEngine } from 'mproxy-net';
import t, { type Test } from 'tap';
import { until } from '../support/wait.js';
import { listen } from './connections.js';

import { identity, notLinux, relay } from './tls-channels.js';

/** Content type and header of records (RFC 8446, section 5.1). */
const APPLICATION_DATA = 23;
const HEADER = 5;
const IDLE_MS = 1000;

/** The lengths of the records with application data of a byte stream, headers included. */
class Records {
  lengths: number[] = [];
  #bytes = Buffer.alloc(0);

  add(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= HEADER) {
      const length = HEADER + this.#bytes.readUInt16BE(3);
      if (this.#bytes.length < length) return;
      if (this.#bytes[0] === APPLICATION_DATA) this.lengths.push(length);
      this.#bytes = this.#bytes.subarray(length);
    }
  }
}

/** Makes the clock of this process go faster by what the result is called with, in milliseconds. */
function adjustable(t: Test): (ms: number) => void {
  const now = performance.now.bind(performance);
  let ahead = 0;
  t.intercept(performance, 'now', { value: () => now() + ahead });
  return (ms) => {
    ahead += ms;
  };
}

t.test('records: small ones at first and after a pause, then large ones', { skip: notLinux }, async (t) => {
  const { authority, own } = await identity(t);
  const advance = adjustable(t);
  // What a record adds: its header, a tag of 16 bytes, and a content type, or with TLS 1.2 a nonce of 8 bytes.
  for (const [maxVersion, overhead] of [
    ['TLSv1.3', 22],
    ['TLSv1.2', 29],
  ] as const) {
    const { logs, port } = await listen(t, chooseEngine('linux').engine.streams, { tls: { pairs: [own] } });
    const records = new Records();
    const { port: through } = await relay(t, port, (bytes, on, fromClient) => {
      if (!fromClient) records.add(bytes);
      on.write(bytes);
    });
    const socket = connect({ host: '127.0.0.1', port: through, ca: authority.pem, maxVersion });
    let received = 0;
    socket.on('data', ({ length }) => {
      received += length;
    });
    await once(socket, 'secureConnect');
    await until('it is accepted', () => logs.length === 1);
    const { connection } = logs[0]!;
    /** @returns plaintext bytes of each record */
    const send = async (length: number) => {
      const end = received + length;
      connection.write([Buffer.alloc(length, 'x')]);
      await until('all arrives', () => received === end);
      const sizes = records.lengths.map((length) => length - overhead);
      records.lengths = [];
      return sizes;
    };
    // The tickets of TLS 1.3 are records of the same type: they come first.
    await send(1);
    const first = await send(300_000);
    t.equal(first.filter((size) => size === 1400).length, Math.ceil((65_536 - 1) / 1400), maxVersion);
    t.strictSame(first.slice(47, 48), [16_384], 'after 64 KB');
    t.equal(first.filter((size) => size === 16_384).length, Math.floor((300_000 - 47 * 1400) / 16_384));
    advance(IDLE_MS - 500);
    t.strictSame(await send(50_000), [16_384, 16_384, 16_384, 848], 'still large');
    advance(IDLE_MS);
    t.strictSame(await send(3000), [1400, 1400, 200], 'small after a pause');
    advance(IDLE_MS);
    t.strictSame(new Set(await send(1400 * 40)), new Set([1400]), 'each pause counts anew');
    t.strictSame(await send(20_000), [...Array(7).fill(1400), 10_200], 'until 64 KB');
    socket.destroy();
  }
});

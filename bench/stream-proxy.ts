import { readFileSync } from 'node:fs';
import { type Connection, type ConnectionHandler, chooseEngine, type EngineName } from 'mproxy-net';

/**
 * stream-proxy ENGINE PORT TO [PAIR]: passes TCP connections of 127.0.0.1:PORT on to 127.0.0.1:TO, by the interface to stream sockets
 * alone; TLS connections with PAIR, a file with a certificate and its key.
 */
const [engine, port, to, pair] = process.argv.slice(2);
const pem = pair === undefined ? undefined : readFileSync(pair);
const { streams } = chooseEngine(engine as EngineName).engine;
const at = (number: string | undefined) => ({ address: '127.0.0.1', port: Number(number) });

await streams.listen({
  at: at(port),
  ...(pem && { tls: { pairs: [{ cert: pem, key: pem }] } }),
  async onConnection(client) {
    try {
      const server = await streams.connect({ to: at(to) });
      client.start(passTo(client, server));
      server.start(passTo(server, client));
    } catch (error) {
      client.abort(error as Error);
    }
  },
});

function passTo(from: Connection, into: Connection): ConnectionHandler {
  return {
    onData(bytes) {
      const taken = into.offer(bytes);
      if (taken === bytes.length) return;
      into.write([Buffer.from(bytes.subarray(taken))]);
      from.pause();
    },
    onDrain: () => into.resume(),
    onEnd: () => into.end(),
    onClose: (error) => (error ? into.abort() : into.close()),
  };
}

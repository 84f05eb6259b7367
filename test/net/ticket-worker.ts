import { parentPort, workerData } from 'node:worker_threads';
import { chooseEngine, type TicketSeed, type TlsServer, useTicketSeed } from 'mproxy-net';

/** A worker whose listener sends each client what the handshake agreed upon, as JSON, and ends. */
export interface Task {
  seed: TicketSeed;
  tls: TlsServer;
}

/** What it reports: its port, then failed handshakes. */
export type Report = { port: number } | { refused: string };

const { seed, tls } = workerData as Task;
const report = (report: Report) => parentPort!.postMessage(report);
useTicketSeed(seed);
const listener = await chooseEngine('linux').engine.streams.listen({
  at: { address: '127.0.0.1', port: 0 },
  tls,
  onConnection(connection) {
    const { resumed, peerCertificate } = connection.tls!;
    connection.start({
      onData: () => undefined,
      onEnd: () => undefined,
      onClose: () => undefined,
    });
    connection.write([Buffer.from(JSON.stringify({ resumed, verified: peerCertificate !== undefined }))]);
    connection.linger(5000);
  },
  onHandshakeError: (error) => report({ refused: (error as NodeJS.ErrnoException).code ?? error.message }),
});
report({ port: listener.local!.port });

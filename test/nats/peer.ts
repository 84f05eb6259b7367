import { type ConnectionOptions, connect } from '@nats-io/transport-node';
import type { Test } from 'tap';
import type { NatsServer } from './server.js';

/** The official client, connected to a server; the test closes it. */
export async function peerOf(t: Test, { port }: NatsServer, options: ConnectionOptions = {}) {
  const peer = await connect({ servers: `127.0.0.1:${port}`, ...options });
  t.teardown(() => peer.close());
  return peer;
}

type Peer = Awaited<ReturnType<typeof peerOf>>;

/** Collects the payloads of a subject, from when this resolves. */
export async function collect(peer: Peer, subject: string): Promise<string[]> {
  const got: string[] = [];
  peer.subscribe(subject, {
    callback: (_error, message) => {
      got.push(message.string());
    },
  });
  await peer.flush();
  return got;
}

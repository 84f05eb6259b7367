import { jetstream, jetstreamManager, type StreamConfig } from '@nats-io/jetstream';
import type { Test } from 'tap';
import { Folder } from './folder.js';
import { peerOf } from './peer.js';
import { NatsServer } from './server.js';

/** The configuration of JetStream, whose files the test removes. */
export function jetConfig(t: Test): string {
  return `jetstream { store_dir: "${new Folder(t).path('store')}" }`;
}

/** A real server with JetStream. */
export function jetServer(t: Test): Promise<NatsServer> {
  return NatsServer.start(t, { config: jetConfig(t) });
}

/** The official client of a stream that takes the subjects, with file storage. */
export async function streamOf(
  t: Test,
  server: NatsServer,
  name: string,
  subjects: string[],
  more: Partial<StreamConfig> = {},
) {
  const peer = await peerOf(t, server);
  const manager = await jetstreamManager(peer);
  await manager.streams.add({ ...more, name, subjects, storage: 'file' });
  return { peer, manager, js: jetstream(peer), state: async () => (await manager.streams.info(name)).state };
}

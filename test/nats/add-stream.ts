// `node add-stream.js SERVER NAME SUBJECT [REPLICAS USER PASSWORD]`: the official client adds a stream. A program of its own, to
// run in a namespace.
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

const [servers = '', name = '', subject = '', replicas = '1', user = '', pass = ''] = process.argv.slice(2);
const peer = await connect({ servers, ...(user && { user, pass }) });
await (await jetstreamManager(peer)).streams.add({
  name,
  subjects: [subject],
  storage: 'file',
  num_replicas: Number(replicas),
});
await peer.close();

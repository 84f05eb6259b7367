// `node add-stream.js SERVER NAME SUBJECT`: the official client adds a stream. A program of its own, to run in a namespace.
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

const [servers, name, subject] = process.argv.slice(2) as [string, string, string];
const peer = await connect({ servers });
await (await jetstreamManager(peer)).streams.add({ name, subjects: [subject], storage: 'file' });
await peer.close();

import { Program } from 'mproxy-flow';
import { connectionCounts } from 'mproxy-flow/counts';
import { Client } from 'mproxy-flow/endpoints/nats/client';
import { Requests } from 'mproxy-flow/endpoints/nats/requests';
import { chooseEngine } from 'mproxy-net';
import t from 'tap';
import { until } from '../support/wait.js';
import { peerOf } from './peer.js';
import { NatsServer, noServer } from './server.js';

t.test(
  'requests: answers to each, none in time, nobody there, a lost connection',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const peer = await peerOf(t, server);
    peer.subscribe('double', {
      callback: (_error, message) => {
        message.respond(message.string().repeat(2));
      },
    });
    peer.subscribe('silent');
    await peer.flush();
    const { streams } = chooseEngine('node').engine;
    let requests: Requests;
    const none = () => undefined;
    const handler = {
      counts: connectionCounts(),
      ...{
        onAttached: none,
        onLeaving: none,
        onDenied: () => 'data are lost',
        onDrain: none,
        onBurstEnd: none,
      },
      onDetached: () => requests.abort(),
    };
    const tls = () => {
      throw new Error('no TLS here');
    };
    const servers = [{ host: '127.0.0.1', port: server.port }];
    const options = {
      streams,
      login: {},
      requiresTls: false,
      tls,
      name: 'test',
      action: 'sending',
      servers,
    } as const;
    const client = new Client(new Program({}), options, handler);
    requests = new Requests(client);
    await t.rejects(requests.send('double', Buffer.from('x'), 1000), /not connected/);
    const run = client.run();
    t.teardown(async () => {
      client.close();
      await run;
    });
    await until('connected', () => client.connection !== undefined);
    t.strictSame(handler.counts, { connections: { now: 1, ever: 1 }, reconnects: 0 });
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => requests.send('double', Buffer.from(`${i};`), 10_000)),
    );
    t.strictSame(
      answers.map(({ payload }) => String(payload)),
      answers.map((_, i) => `${i};${i};`),
    );
    await t.rejects(requests.send('silent', Buffer.from('x'), 100), /silent: no answer within 100 ms/);
    await t.rejects(requests.send('nobody', Buffer.from('x'), 10_000), /no responders/);
    const lost = t.rejects(requests.send('silent', Buffer.from('x'), 60_000), /disconnected/);
    await server.kill();
    await lost;
    t.equal(handler.counts.connections.now, 0);
    await server.restart();
    await until('connected again', () => client.connection !== undefined);
    t.strictSame(handler.counts, { connections: { now: 1, ever: 2 }, reconnects: 1 });
  },
);

import { setImmediate as turn } from 'node:timers/promises';
import { HttpResponse, service } from 'mproxy-service';
import t from 'tap';
import { mutated, ODD_PIECES } from '../support/mutated.js';
import { Random } from '../support/random.js';
import { MemoryServer, readBody } from './memory-connection.js';

const ROUNDS = 20_000;
const PARTS = [
  'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
  'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde',
  'POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nabcde\r\n0\r\nT: v\r\n\r\n',
  'HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok',
  'GET http://h/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
];
t.test(
  `${ROUNDS} mutated connections: no exception, no more requests than were sent, and an end`,
  async (t) => {
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    let served = 0;
    let rejected = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const server = new MemoryServer(
        service(async (request) => {
          const text = request.body && random.next() < 0.8 ? await readBody(request).catch(String) : '';
          return HttpResponse.text(200, text);
        }),
      );
      const text = mutated(random, PARTS, 3, 3, () => random.pick(ODD_PIECES));
      for (let at = 0; at < text.length; ) {
        const size = random.next() < 0.3 ? random.integer(1, 20) : text.length;
        server.connection.receive(text.slice(at, at + size));
        at += size;
        if (random.next() < 0.1) await turn();
      }
      await turn();
      const requests = text.split('HTTP/1').length - 1;
      if (server.requests.length > requests) t.fail(JSON.stringify([text, server.text]));
      const responses = server.text.split(/^HTTP\/1\.1 [2-5]/m).length - 1;
      if (responses > server.requests.length + 1) t.fail(JSON.stringify([text, server.text]));
      if (server.errors.length > 0) t.fail(JSON.stringify([text, String(server.errors)]));
      if (server.ends === '') server.connection.handler.onEnd();
      server.connection.handler.onClose();
      await turn();
      if (!server.done || server.outcomes.length !== server.requests.length) t.fail(JSON.stringify(text));
      served += server.requests.length;
      rejected += server.rejections.length;
    }
    t.ok(served > ROUNDS / 2 && rejected > ROUNDS / 10, `${served} served, ${rejected} rejected`);
  },
);

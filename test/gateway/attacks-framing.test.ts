// Attacks on programs that read a message in two ways, by the names under which they are known, through the whole program: where a message ends.
import t from 'tap';
import { until } from '../support/wait.js';
import { attack, EVIL, get, post, proxied } from './attacks.js';
import { rawClient } from './raw-client.js';

/** Each of these is answered with one status, 400 unless it says otherwise, and nothing of it reaches the origin as a whole request. */
function rejected(title: string, attacks: Record<string, string>, status = 400): void {
  t.test(title, async (t) => {
    const all = await proxied(t);
    for (const [name, text] of Object.entries(attacks)) {
      const client = await attack(t, all, text);
      await client.ended();
      t.strictSame(client.statuses, [status], name);
      t.equal(client.end, 'end', 'it is delivered');
    }
    t.strictSame(all.origin.shown, []);
    const victim = await attack(t, all, get('/victim'));
    t.equal((await victim.answered())[0]!.body, 'GET /victim');
    t.notMatch(all.origin.requests.map(({ head }) => head).join(''), /evil/);
  });
}

rejected('CL.TE: Content-Length for the one, Transfer-Encoding for the other', {
  plain: post('Content-Length: 6\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${EVIL}`),
  'as a prefix': post('Content-Length: 6\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\nG'),
});

rejected('TE.CL: Transfer-Encoding for the one, Content-Length for the other', {
  plain: post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `24\r\n${EVIL}\r\n0\r\n\r\n`),
  'HTTP/1.0': post(
    'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n',
    `24\r\n${EVIL}\r\n0\r\n\r\n`,
  ).replace('1.1', '1.0'),
});

const CODINGS = [
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding:\x0bchunked',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding: ,chunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding:\r\n chunked',
  ' Transfer-Encoding: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'Transfer_Encoding: chunked',
];

rejected(
  'TE.TE: a Transfer-Encoding that only one of two programs sees',
  Object.fromEntries(
    CODINGS.map((line) => [
      JSON.stringify(line),
      post(`Content-Length: 4\r\n${line}\r\n`, `24\r\n${EVIL}\r\n0\r\n\r\n`),
    ]),
  ),
);

const CHUNKED = 'Transfer-Encoding: chunked\r\n';

rejected('chunk extensions: a line end within one (TERM.EXT, EXT.TERM)', {
  LF: post(CHUNKED, `2;\nxx\r\n24\r\n0\r\n\r\n${EVIL}\r\n0\r\n\r\n`),
  'LF behind a name': post(CHUNKED, `2;a\nxx\r\n0\r\n\r\n${EVIL}`),
  CR: post(CHUNKED, `2;a\rxx\r\n0\r\n\r\n${EVIL}`),
  'a quote over a line end': post(CHUNKED, `2;a="\r\nxx\r\n0\r\n\r\n${EVIL}`),
});

rejected('obs-fold: a field that continues on the next line', {
  'a length': `POST / HTTP/1.1\r\nHost: h\r\nA: b\r\n Content-Length: 36\r\n\r\n${EVIL}`,
  'a coding': post('Transfer-Encoding:\r\n\tchunked\r\n', `0\r\n\r\n${EVIL}`),
  'behind the request line': `GET / HTTP/1.1\r\n Host: evil\r\nHost: h\r\n\r\n${EVIL}`,
});

t.test(
  'CL.0: an origin that does not read a body takes it for a request; nobody else gets the answer',
  async (t) => {
    for (const together of [true, false]) {
      const all = await proxied(t);
      const { gateway, origin } = all;
      origin.onRequest = (received) => {
        const ok = (text: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
        if (received.body === '') received.answer(ok(received.target));
        else if (together) received.answer(ok(received.target) + ok('evil'));
        else {
          received.answer(ok(received.target));
          setTimeout(() => received.answer(ok('evil')), 5);
        }
      };
      for (let i = 0; i < 10; i++) {
        const attacker = await attack(t, all, post(`Content-Length: ${EVIL.length}\r\n`, EVIL));
        t.equal((await attacker.answered())[0]!.body, '/');
        const socket = origin.requests.at(-1)!.socket;
        if (!together) await until('the connection is given up', () => socket.destroyed);
        const victim = await attack(t, all, get(`/victim${i}`));
        t.equal((await victim.answered())[0]!.body, `/victim${i}`, together ? 'in one piece' : 'later');
        t.ok(
          socket.destroyed || origin.requests.at(-1)!.socket !== socket,
          'the connection is not used again',
        );
      }
      t.equal(gateway.lines.filter(({ status }) => status !== 200).length, 0);
    }
  },
);

t.test(
  'early responses: what is left of a body is never a request, neither here nor at the origin',
  async (t) => {
    const all = await proxied(t);
    const { origin } = all;
    origin.onHead = (received) => {
      if (received.method === 'POST')
        received.answer('HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nearly');
    };
    for (const lines of [
      'Content-Length: 100000\r\n',
      CHUNKED,
      'Expect: 100-continue\r\nContent-Length: 36\r\n',
    ]) {
      const client = await attack(t, all, post(lines, lines === CHUNKED ? 'fff\r\nabc' : ''));
      const [answer] = await client.answered();
      t.match(answer, { status: 413, body: 'early' }, lines);
      const socket = origin.requests.at(-1)!.socket;
      client.send(EVIL.repeat(20));
      await client.ended();
      t.equal(client.answers.length, 1, 'nothing of the rest is answered');
      t.equal(client.end, 'end');
      await until('the connection to the origin is closed', () => socket.destroyed);
    }
    t.strictSame(
      origin.requests.filter(({ isComplete }) => isComplete),
      [],
    );
    t.notMatch(origin.requests.map(({ head }) => head).join(''), /evil/);
    const victim = await attack(t, all, get('/victim'));
    t.equal((await victim.answered())[0]!.body, 'GET /victim');
  },
);

t.test(
  'keep-alive races: an origin that closes as a request comes loses no GET, and gets no POST twice',
  async (t) => {
    const all = await proxied(t);
    const { gateway, origin } = all;
    origin.onRequest = (received) => {
      // Now and then it closes a kept connection just before, just behind, or instead of an answer.
      const { socket, number, shown } = received;
      if (number > 1) {
        socket.destroy();
        return;
      }
      received.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${shown.length}\r\n\r\n${shown}`);
      const turns = origin.requests.length % 4;
      if (turns === 1) socket.end();
      else if (turns === 2) setTimeout(() => socket.end(), 1);
    };
    const client = await rawClient(t, gateway.port);
    for (let i = 1; i <= 100; i++) {
      client.send(get(`/get${i}`));
      await client.answered(i);
      t.match(client.finals.at(-1), { status: 200, body: `GET /get${i}` });
    }
    const statuses = new Set<number>();
    for (let i = 0; i < 100; i++) {
      const one = await attack(t, all, `POST /post${i} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na`);
      statuses.add((await one.answered())[0]!.status);
      t.ok(origin.requests.filter(({ target }) => target === `/post${i}`).length <= 1, `post${i}`);
    }
    t.strictSame(
      [...statuses].filter((status) => ![200, 502].includes(status)),
      [],
    );
    t.ok(statuses.has(502), 'it is no test without races');
  },
);

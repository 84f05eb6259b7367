import t, { type Test } from 'tap';
import { missing } from '../lan/tools.js';
import { ask, sample, startShown } from '../status/http.js';
import { startProgram } from '../support/command.js';
import { until } from '../support/wait.js';
import { origin } from './running.js';

const skip = missing('wrk');

/** What wrk counted in two seconds. */
async function wrk(t: Test, args: string[]): Promise<{ requests: number; errors: string[] }> {
  const running = startProgram(t, 'wrk', ['-t', '2', '-d', '2s', ...args]);
  t.equal(await running.exited, 0, running.stderr);
  const text = `${running.stdout}`;
  const requests = Number(/^ *(\d+) requests in /m.exec(text)![1]);
  return { requests, errors: text.match(/^ *(Socket errors|Non-2xx).*$/gm) ?? [] };
}

for (const [what, size, connections] of [
  ['small responses', 100, 64],
  ['1 MB each', 1_000_000, 16],
] as const)
  t.test(`wrk, ${connections} connections, ${what}`, { skip }, async (t) => {
    const body = Buffer.alloc(size, 'x');
    const to = await origin(t, (_, response) => {
      response.writeHead(200, { 'content-length': size }).end(body);
    });
    const { program, url } = await startShown(t, 'gateway', [
      ...['--listen-addr', '127.0.0.1:0', '--route', `/=${to}`, '--workers', '2'],
    ]);
    const at = `http://127.0.0.1:${await program.port()}/`;
    const { requests, errors } = await wrk(t, ['-c', `${connections}`, at]);
    t.strictSame(errors, []);
    t.ok(requests > connections, `${requests} requests`);
    // wrk leaves in the middle of its last requests.
    const metrics = async () => (await ask(`${url}/metrics`)).body;
    const connected = async () => sample(await metrics(), 'mproxy_http_connections{listener="127.0.0.1:0"}');
    await until('all connections are closed', async () => (await connected()) === 0);
    await until(
      'no request is left',
      async () => sample(await metrics(), 'mproxy_http_requests_in_progress') === 0,
    );
    const counted = [...(await metrics()).matchAll(/^mproxy_http_requests_total\{.* (\d+)$/gm)];
    const total = counted.reduce((sum, [, count]) => sum + Number(count), 0);
    t.ok(total >= requests && total <= requests + connections, `${total} are counted`);
    t.equal(await program.stop(), 0, program.stderr);
  });

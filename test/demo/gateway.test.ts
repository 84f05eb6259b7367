import { readdirSync } from 'node:fs';
import t from 'tap';
import { until } from '../support/wait.js';
import { demonstrate, exit, hopsOf, leavesNothing, out } from './demonstrate.js';

const ROUTES = [
  ...['/', '/turns', '/api', '/large', '/assets', '/health', '/old'].map((path) => `app.localhost${path}`),
  ...['events.localhost/socket', 'events.localhost/events', 'without TLS'],
];
const FALSIFY = new URL('falsify.js', import.meta.url).href;

// What is run takes its time, more of it on a busy machine.
t.setTimeout(300_000);

t.test('each route is visited, and every answer is right, within the promised time', async (t) => {
  const folder = t.testdir();
  const started = performance.now();
  const demo = demonstrate(t, ['gateway'], { env: { ...process.env, TMPDIR: folder } });
  t.equal(await exit(demo), 0, `${out(demo)}${demo.stderr}`);
  // About 10 s on an idle machine.
  t.ok(performance.now() - started < 90_000, 'it ends by itself');
  t.match(out(demo), /"listen": \["tls:\/\/127\.0\.0\.1:0","127\.0\.0\.1:0"\]/, 'its configuration');
  for (const route of ROUTES) {
    t.match(row(out(demo), '✔', route), /^ +[1-9][\d,]* +0 /, `${route}: right, and none wrong`);
    const lines = out(demo).match(new RegExp(`^ *\\d+ s  ${route} +[\\d,]+ right +0 wrong`, 'gm')) ?? [];
    t.ok(lines.length >= 5, `a line a second for ${route}: ${lines.length}`);
  }
  t.match(out(demo), /handshakes [1-9]\d* full, [1-9]\d* resumed, 0 failed/);
  t.match(out(demo).trimEnd().split('\n').at(-1), /^ {2}All [\d,]{3,} answers were right\.$/);
  t.strictSame(readdirSync(folder), [], 'its files are removed');
});

t.test('wrong bytes and a missing event are seen, and it ends with 1', async (t) => {
  const demo = demonstrate(t, ['gateway'], { node: ['--import', FALSIFY] });
  t.equal(await exit(demo), 1);
  t.match(row(out(demo), '✘', 'app.localhost/'), /^ +[1-9][\d,]* +1 /);
  t.match(out(demo), '\n  app.localhost/: 1 wrong; first: other bytes\n');
  t.match(
    row(out(demo), '✘', 'events.localhost/events'),
    /^ +[1-9][\d,]* +18 /,
    'the next stream goes on as it should',
  );
  t.match(out(demo), /\n {2}events\.localhost\/events: [\d,]+ wrong; first: no event 7\n/);
  for (const route of ROUTES.filter((route) => !/(localhost\/|events)$/.test(route)))
    t.match(row(out(demo), '✔', route), /^ +[1-9][\d,]* +0 /);
  t.match(out(demo).trimEnd().split('\n').at(-1), /^ {2}[\d,]+ of [\d,]+ answers were wrong\.$/);
});

t.test('a gateway that dies: what it did not answer is wrong', async (t) => {
  const demo = demonstrate(t, ['gateway']);
  await until('there are answers', () => /events\/? +[1-9]\d* right/.test(out(demo)), 60_000);
  process.kill(hopsOf(demo)[0]!, 'SIGKILL');
  t.equal(await exit(demo), 1);
  t.match(out(demo), 'mproxy-gateway ended by SIGKILL');
  for (const route of ROUTES)
    t.match(out(demo), new RegExp(`^ {2}${route}: [\\d,]+ wrong; first: no answer: `, 'm'));
});

t.test('asked to end: nothing is left behind', async (t) => {
  await leavesNothing(t, ['gateway'], /events +[1-9]\d* right/, 1);
});

/** What the last picture has behind the name of a route. */
function row(text: string, mark: string, route: string): string {
  const start = `  ${mark} ${route} `;
  const line = text.split('\n').find((one) => one.startsWith(start));
  return line?.slice(start.length) ?? `no row ${start}in\n${text}`;
}

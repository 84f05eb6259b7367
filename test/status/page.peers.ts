import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { Authority } from '../support/certificates.js';
import { type Name, start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { freeTcpPort, freeUdpPort, sendSteadily, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';
import { newPage, noChromium, open } from './browser.js';
import { startShown } from './http.js';

/** With SCREENSHOTS set to a folder, every state is drawn there, to be looked at. */
const { SCREENSHOTS } = process.env;
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const skip = noChromium;

/** The rows that have a line with one figure. */
const ALONE = `[...document.querySelectorAll('.row')].filter((row) => {
  const tops = [...row.querySelectorAll('.figure')].map((one) => Math.round(one.getBoundingClientRect().top));
  return tops.some((top) => tops.filter((other) => other === top).length === 1);
}).map((row) => row.textContent)`;

/** Draws it wide, narrow and as on a phone, light and dark, and has axe look at each. */
async function lookAt(t: Test, page: Page, name: string): Promise<void> {
  for (const width of [1000, 700, 400])
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize({ width, height: 850 });
      await page.emulateMedia({ colorScheme });
      const file = `${name}-${width}-${colorScheme}.png`;
      if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, file), fullPage: true });
      const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
      t.equal(await page.evaluate(overflow), 0, `${file}: nothing is beside the screen`);
      t.strictSame(await page.evaluate(ALONE), [], `${file}: no figure is alone on a line`);
      t.strictSame(await violations(page), [], file);
    }
}

/** What axe finds serious. Its script is evaluated from outside: the policy of the page lets no other script in. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(`${readFileSync(AXE, 'utf8')};0`);
  const found = (await page.evaluate('axe.run()')) as { violations: { id: string; impact: string }[] };
  return found.violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id }) => id);
}

t.test(
  'a chain: rows, rates, a loss within two seconds with its reason, contact lost and regained',
  { skip },
  async (t) => {
    const authority = await Authority.make(t);
    const { certFile, keyFile } = await authority.sign({ ips: ['127.0.0.1'] });
    const end = await startShown(t, 'server', [
      ...['--path', '/dev/null', '--listen-addr', '127.0.0.1:0', '--listen-addr', 'tls://127.0.0.1:0'],
      ...['--merge', '--tls-cert', certFile, '--tls-key', keyFile, '--health-idle', '1h'],
    ]);
    const refused = await freeUdpPort();
    const to = ['--udp-downstream-addr', `127.0.0.1:${await end.program.port()}`];
    const status = `127.0.0.1:${await freeTcpPort()}`;
    const args = [
      ...['--status-addr', status, '--status-peer', end.url, '--udp-listen-addr', '127.0.0.1:0', ...to],
    ];
    const forward = start(t, 'forward', args);
    const port = await forward.port();
    sendSteadily(t, port);
    const page = await open(t, `http://${status}/`);
    await page.getByText('All well', { exact: false }).waitFor();
    const rate = () => page.locator('.figure').first().innerText();
    await until('a rate is shown', async () => /^[1-9]/.test(await rate()));
    await page.locator('polyline').first().waitFor();
    await page.getByRole('link', { name: /mproxy-server on/ }).waitFor();
    await lookAt(t, page, 'well');
    const points = await page.locator('polyline').first().getAttribute('points');
    const moved = async () => (await page.locator('polyline').first().getAttribute('points')) !== points;
    await until('the sparkline moves', moved, 20_000);
    await forward.stop();
    await page.getByText('No contact with the program', { exact: false }).waitFor();
    await lookAt(t, page, 'no-contact');
    const lossy = start(t, 'forward', [
      ...['--status-addr', status, '--udp-listen-addr', `127.0.0.1:${port}`, ...to],
      ...['--udp-downstream-addr', `127.0.0.1:${refused}`],
    ]);
    await lossy.port();
    await page
      .getByText(/refused/)
      .first()
      .waitFor({ timeout: 15_000 });
    await page
      .getByText(/^Lost: /)
      .first()
      .click();
    await lookAt(t, page, 'lost');
  },
);

t.test('a loss is shown within two seconds', { skip }, async (t) => {
  const refused = await freeUdpPort();
  const args = ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', `127.0.0.1:${refused}`];
  const { program, url } = await startShown(t, 'forward', args);
  const page = await open(t, url);
  const begun = performance.now();
  sendSteadily(t, await program.port());
  await page.getByText(/^Lost: connection refused/).waitFor();
  const took = performance.now() - begun;
  t.comment(`${took.toFixed(0)} ms`);
  t.ok(took < 2000, `${took.toFixed(0)} ms`);
});

t.test('the page of every program', { skip }, async (t) => {
  const group = await loopbackGroup();
  const sink = await udpSink(t);
  const programs: [Name, string[]][] = [
    ['client', ['--path', '-', '--server-addr', `127.0.0.1:${sink.port}`]],
    ['server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0']],
    ['forward', ['--tcp-connect-addr', '127.0.0.1:9', '--tee']],
    [
      'reverse',
      [
        '--multicast-addr',
        group.address,
        '--tcp-output-addr',
        '127.0.0.1:0',
        '--udp-listen-addr',
        '127.0.0.1:0',
      ],
    ],
  ];
  for (const [name, args] of programs) {
    const { url } = await startShown(t, name, args);
    const page = await open(t, url);
    t.equal(await page.locator('h1').innerText(), `mproxy-${name}`);
    t.ok((await page.locator('#events li').count()) > 0 || name === 'client');
    await lookAt(t, page, name);
  }
});

t.test('a loss is that of its destination alone; names and times are words', { skip }, async (t) => {
  const [sink, refused] = [await udpSink(t), await freeUdpPort()];
  const good = `127.0.0.1:${sink.port}`;
  const to = ['--server-addr', good, '--server-addr', `127.0.0.1:${refused}`];
  const { program, url } = await startShown(t, 'client', ['--path', '-', ...to]);
  const page = await open(t, url);
  await page.getByText('All well').waitFor();
  t.equal(await page.locator('#verdict.well').count(), 1);
  const timer = setInterval(() => program.child.stdin!.write('line\n'), 50);
  t.teardown(() => clearInterval(timer));
  const rows = page.locator('.row');
  await rows.nth(2).locator('.loss').first().waitFor({ state: 'attached', timeout: 20_000 });
  t.equal(await rows.nth(0).locator('.loss').count(), 0, 'the source lost nothing');
  t.equal(await rows.nth(1).locator('.loss').count(), 0, 'nor did the other destination');
  t.equal(await rows.nth(0).locator('h3').innerText(), 'stdin');
  await page.getByText('All counters').click();
  const all = await page.locator('article').innerText();
  t.match(all, /^broken lines\n+0$/m);
  t.match(all, /^last received\n+at \d\d:\d\d:\d\d$/m);
  t.notMatch(all, /[a-z][A-Z]/, 'no name of the code');
  await lookAt(t, page, 'destination');
});

t.test('all problems of a peer; one that is gone keeps its name and figures', { skip }, async (t) => {
  const down = [`tcp://127.0.0.1:${await freeTcpPort()}`, `tcp://127.0.0.1:${await freeTcpPort()}`] as const;
  const to = down.flatMap((address) => ['--udp-downstream-addr', address]);
  const peer = await startShown(t, 'forward', ['--udp-listen-addr', '127.0.0.1:0', ...to]);
  sendSteadily(t, await peer.program.port());
  const args = ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0', '--status-peer', peer.url];
  const { url } = await startShown(t, 'server', args);
  const page = await open(t, url);
  const verdict = () => page.locator('#verdict').innerText();
  const problems = down.map(
    (address) => `mproxy-forward on ${hostname()}: ${address}: not connected: connection refused, since `,
  );
  const all = async () => {
    const text = await verdict();
    return /^2 problems\n/.test(text) && problems.every((problem) => text.includes(problem));
  };
  await until('both are told', all, 20_000);
  await lookAt(t, page, 'peer');
  await peer.program.stop();
  await page.getByText('These are its last figures').waitFor({ timeout: 15_000 });
  t.match(
    await verdict(),
    /^1 problem\n+mproxy-forward on .*: no contact: connection refused, since [\d:]+$/,
  );
  t.equal(await page.locator('article.stale').count(), 1);
  const received = page.locator('article.stale .figure').nth(2);
  t.match(await received.innerText(), /^[1-9][\d,]*\s*datagrams$/);
  await lookAt(t, page, 'peer-gone');
});

t.test('before the first answer the page does not say that all is well', { skip }, async (t) => {
  const { url } = await startShown(t, 'server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0']);
  const page = await newPage(t);
  await page.route('**/events', () => undefined);
  await page.goto(url);
  t.equal(await page.locator('#verdict').innerText(), 'Waiting for the program.');
  t.equal(await page.locator('#verdict.well').count(), 0);
});

t.test('names are shown as text, never as HTML', { skip }, async (t) => {
  const folder = t.testdir({ '<img src=x onerror=alert(1)>': 'line\n' });
  const path = join(folder, '<img src=x onerror=alert(1)>');
  const { url } = await startShown(t, 'client', ['--follow', '--path', path, '--tee']);
  const page = await open(t, url);
  await page.getByRole('heading', { name: '<img src=x' }).first().waitFor();
  t.equal(await page.locator('img').count(), 0);
});

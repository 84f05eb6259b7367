import t from 'tap';
import { newPage, noChromium } from '../status/browser.js';
import { startShown } from '../status/http.js';
import { Client, origin } from './running.js';

t.test('the page shows routes, upstreams and listeners', { skip: noChromium }, async (t) => {
  const to = await origin(t);
  const { program, url } = await startShown(t, 'gateway', [
    ...['--listen-addr', '127.0.0.1:0', '--route', `/api=${to}`, '--route', '/dead=http://127.0.0.1:9'],
  ]);
  const client = new Client(t, await program.port());
  for (let i = 0; i < 3; i++) await client.get('/api');
  const page = await newPage(t);
  page.on('pageerror', (error) => void t.fail(`page: ${error}`));
  await page.goto(url);
  const cells = (name: string, row: string) =>
    page
      .getByRole('table', { name: new RegExp(`^${name}`) })
      .getByRole('row', { name: row })
      .getByRole('cell');
  await cells('Routes', '/api').nth(0).getByText('3 ').waitFor();
  t.equal(await cells('Routes', '/api').nth(1).textContent(), '3', '2xx');
  t.match(await cells('Routes', '/api').nth(5).textContent(), / ms$/, 'p50');
  t.equal(await cells('Routes', '/dead').nth(5).textContent(), '–');
  t.equal(await cells('Upstreams', to).nth(0).textContent(), 'up');
  t.equal(await cells('Listeners', '127.0.0.1:0').nth(0).textContent(), '1', 'connections now');
  t.ok(await page.locator('#data').isHidden(), 'there are no streams of data');
  await client.get('/api');
  await cells('Routes', '/api')
    .nth(0)
    .getByText(/^4 \d+\/s$/)
    .waitFor();
});
